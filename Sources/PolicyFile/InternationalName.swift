import Addressing
import CIDN2

/// Why a Unicode name has no A-label form.
struct InternationalNameError: Error {
  var cause: String
}

/// Turns a Unicode name into A-labels: UTS 46, non-transitional, strict.
///
/// A label that maps to plain ASCII (`ⓟlain`, fullwidth digits, a soft hyphen)
/// is refused rather than taken for another name.
///
/// - Source: UTS 46 §4, RFC 5891 §5; `IDN2_USE_STD3_ASCII_RULES` for strictness.
func asciiName(_ text: String) throws(InternationalNameError) -> String {
  var output: UnsafeMutablePointer<UInt8>?
  let flags = Int32(
    IDN2_NFC_INPUT.rawValue | IDN2_NONTRANSITIONAL.rawValue | IDN2_USE_STD3_ASCII_RULES.rawValue)
  let result = idn2_lookup_u8(text, &output, flags)
  defer { idn2_free(output) }
  guard result == IDN2_OK.rawValue, let output else {
    throw InternationalNameError(cause: String(cString: idn2_strerror(result)))
  }
  let name = String(cString: output)
  guard keepsItsShape(text, as: name) else {
    throw InternationalNameError(cause: "it maps to the different name '\(name)'")
  }
  return name
}

/// Whether each label is still where it was, and only Unicode became `xn--`.
private func keepsItsShape(_ text: String, as name: String) -> Bool {
  let before = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
  let after = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
  guard before.count == after.count else { return false }
  return zip(before, after).allSatisfy { old, new in
    old.allSatisfy { $0 < 0x80 } || new.starts(with: "xn--".utf8)
  }
}
