/// The one of `names` that `word` was probably meant to be: at most two letters
/// off, and not all of them.
func nearest(to word: String, among names: [String]) -> String? {
  let best = names.map { (name: $0, distance: distance(Array(word.utf8), Array($0.utf8))) }
    .min { $0.distance < $1.distance }
  guard let best, best.distance > 0, best.distance <= 2, best.distance < word.utf8.count else { return nil }
  return best.name
}

/// How many bytes must be put in, taken out, replaced or swapped with the next
/// one (optimal string alignment); a word longer than any name is far.
private func distance(_ word: [UInt8], _ name: [UInt8]) -> Int {
  guard word.count <= name.count + 2 else { return .max }
  var rows = [Array(0...name.count)]
  for (row, byte) in word.enumerated() {
    var next = [row + 1]
    for column in name.indices {
      let change = rows[row][column] + (byte == name[column] ? 0 : 1)
      var least = min(change, rows[row][column + 1] + 1, next[column] + 1)
      if row > 0, column > 0, byte == name[column - 1], word[row - 1] == name[column] {
        least = min(least, rows[row - 1][column - 1] + 1)
      }
      next.append(least)
    }
    rows.append(next)
  }
  return rows[word.count][name.count]
}
