import Audit
import Policy

/// The members of one JSON object, taken by name and kind; what is missing or
/// of another kind is an error that names the member.
struct Fields {
  private let object: JSONValue

  init(_ object: JSONValue) {
    self.object = object
  }

  /// The names, in the order of the text.
  var names: [String] { (object.members ?? []).map(\.name) }

  func text(_ name: String) throws(ControlError) -> String {
    guard let text = object[name]?.text else { throw .field(name) }
    return text
  }

  /// A text that may be missing or null.
  func text(ifPresent name: String) throws(ControlError) -> String? {
    switch object[name] {
    case nil, .null?: return nil
    case .string(let text)?: return text
    default: throw .field(name)
    }
  }

  func texts(_ name: String) throws(ControlError) -> [String] {
    guard let elements = object[name]?.elements else { throw .field(name) }
    let texts = elements.compactMap(\.text)
    guard texts.count == elements.count else { throw .field(name) }
    return texts
  }

  /// Texts that may be missing or null.
  func texts(ifPresent name: String) throws(ControlError) -> [String]? {
    switch object[name] {
    case nil, .null?: nil
    default: try texts(name)
    }
  }

  /// An agent's name that may be missing or null.
  func agent(ifPresent name: String) throws(ControlError) -> AgentName? {
    guard let text = try text(ifPresent: name) else { return nil }
    guard let agent = AgentName(text) else { throw .field(name) }
    return agent
  }

  func flag(_ name: String) throws(ControlError) -> Bool {
    guard let flag = object[name]?.bool else { throw .field(name) }
    return flag
  }

  /// A number that fits `Number`: a count that is never below zero, a process id, …
  func number<Number: FixedWidthInteger>(_ name: String) throws(ControlError) -> Number {
    guard let integer = object[name]?.integer, let number = Number(exactly: integer) else {
      throw .field(name)
    }
    return number
  }

  /// A number that may be missing or null.
  func number(ifPresent name: String) throws(ControlError) -> Int64? {
    switch object[name] {
    case nil, .null?: nil
    default: try number(name)
    }
  }

  func count(_ name: String) throws(ControlError) -> UInt64 {
    try number(name)
  }

  /// One of a fixed set of words.
  func word<Word: RawRepresentable<String>>(_ name: String) throws(ControlError) -> Word {
    guard let word = Word(rawValue: try text(name)) else { throw .field(name) }
    return word
  }

  func fields(_ name: String) throws(ControlError) -> Fields {
    guard let fields = try fields(ifPresent: name) else { throw .field(name) }
    return fields
  }

  /// An object that may be missing or null.
  func fields(ifPresent name: String) throws(ControlError) -> Fields? {
    guard let value = object[name], value != .null else { return nil }
    guard value.members != nil else { throw .field(name) }
    return Fields(value)
  }

  /// An array of objects, each made into an element.
  func list<Element>(
    _ name: String, _ make: (Fields) throws(ControlError) -> Element
  ) throws(ControlError) -> [Element] {
    guard let elements = object[name]?.elements else { throw .field(name) }
    var list: [Element] = []
    for element in elements {
      guard element.members != nil else { throw .field(name) }
      list.append(try make(Fields(element)))
    }
    return list
  }
}
