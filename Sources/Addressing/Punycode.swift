/// Decoding of A-labels, so that a label which no U-label could have made is
/// refused and a person can be shown what a name looks like.
///
/// - Source: RFC 3492 §6.2 and its parameters in §5.
public enum Punycode {
  private static let base = 36
  private static let tMin = 1
  private static let tMax = 26

  /// Decodes the part of an A-label behind `xn--`.
  ///
  /// - Returns: The code points, of which at least one is not ASCII; nil when
  ///   the text is not the encoding of any such label.
  public static func decode(_ encoded: ArraySlice<UInt8>) -> [Unicode.Scalar]? {
    let delimiter = encoded.lastIndex(of: UInt8(ascii: "-"))
    let basic = delimiter.map { encoded[..<$0] } ?? []
    var rest = delimiter.map { encoded[($0 + 1)...] } ?? encoded
    guard !rest.isEmpty else { return nil }
    var output = basic.map { Unicode.Scalar($0) }
    var codePoint = 128, index = 0, bias = 72
    while !rest.isEmpty {
      guard let delta = readDelta(&rest, bias: bias), output.count < Hostname.maximumLabelLength else {
        return nil
      }
      let places = output.count + 1
      index += delta
      codePoint += index / places
      index %= places
      guard let scalar = UInt32(exactly: codePoint).flatMap(Unicode.Scalar.init) else { return nil }
      output.insert(scalar, at: index)
      bias = adapt(delta: delta, places: places, first: output.count == basic.count + 1)
      index += 1
    }
    return output
  }

  /// Reads one generalised variable-length integer; nil at a bad digit, at the
  /// end of input, or above 2^31.
  private static func readDelta(_ input: inout ArraySlice<UInt8>, bias: Int) -> Int? {
    var value = 0, weight = 1, k = base
    while let byte = input.popFirst() {
      guard let digit = digitValue(byte) else { return nil }
      value += digit * weight
      let threshold = min(max(k - bias, tMin), tMax)
      if digit < threshold { return value }
      weight *= base - threshold
      guard value <= Int32.max, weight <= Int32.max else { return nil }
      k += base
    }
    return nil
  }

  private static func digitValue(_ byte: UInt8) -> Int? {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"): Int(byte - UInt8(ascii: "a"))
    case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0")) + 26
    default: nil
    }
  }

  private static func adapt(delta: Int, places: Int, first: Bool) -> Int {
    var delta = first ? delta / 700 : delta / 2
    delta += delta / places
    var k = 0
    while delta > ((base - tMin) * tMax) / 2 {
      delta /= base - tMin
      k += base
    }
    return k + (base * delta) / (delta + 38)
  }
}
