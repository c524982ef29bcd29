/// What a text gains when lines are added in one place: the lines around it, and the new ones.
struct LineDiff: Hashable, Sendable {
  /// One line of it.
  struct Line: Hashable, Sendable {
    var text: String
    var isNew: Bool
  }

  /// Lines shown before and behind what is new.
  private static let context = 3

  let lines: [Line]

  init(from old: String, to new: String) {
    let before = old.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map {
      String($0)
    }
    let after = new.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }
    var start = 0
    while start < min(before.count, after.count), before[start] == after[start] { start += 1 }
    var end = 0
    while end < min(before.count, after.count) - start,
      before[before.count - 1 - end] == after[after.count - 1 - end]
    {
      end += 1
    }
    let changed = start..<(after.count - end)
    lines = after.indices.filter { $0 >= start - Self.context && $0 < changed.upperBound + Self.context }
      .filter { changed.contains($0) || !after[$0].isEmpty }
      .map { Line(text: after[$0], isNew: changed.contains($0) && !after[$0].isEmpty) }
  }
}
