/// The word that `text` was probably meant to be: at most three edits away, and
/// fewer than half its letters.
func nearest(to text: String, in words: [String]) -> String? {
  let typed = Array(text.utf8.prefix(41))
  guard typed.count <= 40 else { return nil }
  let ranked = words.map { (word: $0, distance: editDistance(typed, Array($0.utf8))) }
  guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
  return best.distance <= 3 && best.distance * 2 < max(typed.count, best.word.utf8.count) + 1
    ? best.word : nil
}

/// Insertions, deletions, substitutions and swaps of neighbours between two words.
///
/// - Source: optimal string alignment, the restricted Damerau-Levenshtein distance.
func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
  var before: [Int] = [], previous = Array(0...right.count)
  for i in left.indices {
    var row = [i + 1]
    for j in right.indices {
      let cost = left[i] == right[j] ? 0 : 1
      var best = min(previous[j + 1] + 1, row[j] + 1, previous[j] + cost)
      if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
        best = min(best, before[j - 1] + 1)
      }
      row.append(best)
    }
    (before, previous) = (previous, row)
  }
  return previous[right.count]
}
