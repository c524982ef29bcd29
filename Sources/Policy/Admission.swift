import Addressing

/// Which of a name's addresses may be dialled. Each address is judged alone:
/// one that is refused does not take the others with it.
public struct Admission: Sendable {
  /// The addresses that may be dialled, in the order given.
  public var admitted: [IPAddress]
  /// The others, and why.
  public var refused: [(address: IPAddress, reason: Reason, addressClass: AddressClass)]

  /// Makes an admission.
  public init(
    admitted: [IPAddress], refused: [(address: IPAddress, reason: Reason, addressClass: AddressClass)]
  ) {
    self.admitted = admitted
    self.refused = refused
  }

  /// When nothing is left: why the first address was refused.
  public var denial: Reason? { admitted.isEmpty ? refused.first?.reason : nil }
}
