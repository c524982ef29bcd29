let carriageReturn: UInt8 = 0x0d
let lineFeed: UInt8 = 0x0a
let space: UInt8 = 0x20
let tab: UInt8 = 0x09

/// Bit n is set when byte n is one of `!#$%&'*+-.` or a digit. Written out, since
/// a mask that is computed costs a check for its initialisation at every byte.
private let tokenBitsLow: UInt64 = 0x03ff_6cfa_0000_0000
/// Bit n is set when byte n + 64 is a letter or one of ``^_`|~``.
private let tokenBitsHigh: UInt64 = 0x57ff_ffff_c7ff_fffe

/// Whether `byte` may stand in a token (RFC 9110 §5.6.2).
@inline(__always)
func isToken(_ byte: UInt8) -> Bool {
  byte < 0x80 && (byte < 64 ? tokenBitsLow : tokenBitsHigh) >> UInt64(byte & 63) & 1 == 1
}

/// Whether `byte` may stand in a field value: visible ASCII, space, tab or
/// obs-text (RFC 9110 §5.5). CR, LF, NUL and the other controls may not.
@inline(__always)
func isFieldContent(_ byte: UInt8) -> Bool {
  byte >= space && byte != 0x7f || byte == tab
}

/// Whether `byte` is visible ASCII (RFC 5234 appendix B.1, VCHAR).
@inline(__always)
func isVisible(_ byte: UInt8) -> Bool {
  byte > space && byte < 0x7f
}

/// Folds `A-Z` and nothing else.
@inline(__always)
func lowerCased(_ byte: UInt8) -> UInt8 {
  byte &- 0x41 < 26 ? byte | 0x20 : byte
}

@inline(__always)
func isLowerCaseLetter(_ byte: UInt8) -> Bool {
  byte &- 0x61 < 26
}

@inline(__always)
func isDecimal(_ byte: UInt8) -> Bool {
  byte &- 0x30 < 10
}

/// Whether `bytes` is `lowerCaseText`, which must be written in lower case,
/// when the letters A-Z count as a-z.
func equalsIgnoringCase(_ bytes: some Collection<UInt8>, _ lowerCaseText: String) -> Bool {
  let expected = lowerCaseText.utf8
  guard bytes.count == expected.count else { return false }
  return zip(bytes, expected).allSatisfy { lowerCased($0) == $1 }
}

/// `bytes` without spaces and tabs at both ends (RFC 9110 §5.6.3, OWS).
func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
  var result = bytes
  while let first = result.first, first == space || first == tab { result.removeFirst() }
  while let last = result.last, last == space || last == tab { result.removeLast() }
  return result
}
