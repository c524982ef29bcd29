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

extension Policy {
  /// Judges what a name resolved to, in either mode. No address is admitted
  /// because a CIDR rule names it: the rule behind `decision` counts alone.
  ///
  /// - Parameters:
  ///   - addresses: All that the resolver found.
  ///   - destination: Whose name was resolved; its port counts.
  ///   - decision: What let the name through. In audit mode that may be a
  ///     denial, which opens nothing beyond public addresses.
  public func admit(
    _ addresses: [IPAddress], to destination: Destination, under decision: Decision, floor: Floor
  ) -> Admission {
    let leave = Leave(decision, for: destination.host)
    var admission = Admission(admitted: [], refused: [])
    for address in addresses {
      let denial = floor.denial(of: address, destination.port) ?? floor.denial(of: address, without: leave)
      if let denial {
        admission.refused.append((address, denial, address.addressClass))
      } else {
        admission.admitted.append(address)
      }
    }
    return admission
  }
}
