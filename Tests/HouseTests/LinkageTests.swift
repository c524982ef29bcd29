import Foundation
import Testing

/// What the binary is made of, read from the binary: an import of a package
/// three levels down would show here and in no source file.
@Suite struct LinkageTests {
  /// The libraries of the system and of the toolchain that it may load; one
  /// that is linked with the standard library inside loads fewer.
  static let libraries: Set<String> = [
    "libyaml-0.so.2", "libpsl.so.5", "libidn2.so.0", "libunistring.so.2",
    "libnftnl.so.11", "libmnl.so.0",
    "libswiftCore.so", "libswiftSwiftOnoneSupport.so", "libswift_Concurrency.so",
    "libswiftSynchronization.so",
    "libswift_StringProcessing.so", "libswift_RegexParser.so", "libswift_Builtin_float.so",
    "libswiftGlibc.so",
    "libswiftDispatch.so", "libdispatch.so", "libBlocksRuntime.so", "libFoundationEssentials.so",
    "libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "linux-vdso.so.1", "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
  ]

  /// Parts of symbols of the full Foundation, of Core Foundation and of SwiftNIO.
  static let foreign = ["$s10Foundation", "NSURLSession", "CFRuntime", "7NIOCore", "8NIOPosix", "CNIOLinux"]

  @Test("it loads no library beyond the list, neither itself nor through another")
  func loads() throws {
    let loaded = try Set(libraries(of: #require(House.binary)))
    #expect(loaded.isSuperset(of: ["libyaml-0.so.2", "libpsl.so.5", "libidn2.so.0", "libc.so.6"]))
    #expect(loaded.isSubset(of: Self.libraries), "\(loaded.subtracting(Self.libraries).sorted())")
  }

  @Test("it holds nothing of the full Foundation or of SwiftNIO, also where it is linked into it")
  func holds() throws {
    let binary = try #require(House.binary)
    let bytes = try Data(contentsOf: binary, options: .alwaysMapped)
    #expect(contains(bytes, "$s10Addressing"), "symbols are found where there are some")
    for symbol in Self.foreign { #expect(!contains(bytes, symbol), "\(binary.path()) holds \(symbol)") }
  }

  @Test("the tests themselves, which use Foundation, would be found out")
  func control() throws {
    let folder = try #require(House.binary).deletingLastPathComponent()
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path())
    for name in names where name.hasSuffix(".xctest") {
      let bundle = folder.appending(path: name)
      #expect(try contains(Data(contentsOf: bundle, options: .alwaysMapped), "$s10Foundation"))
      #expect(try libraries(of: bundle).contains("libFoundation.so"))
    }
  }

  /// What ld.so(8) would load for a program, as it tells itself.
  private func libraries(of program: URL) throws -> [String] {
    let process = Process(), pipe = Pipe()
    process.executableURL = program
    process.environment = ["LD_TRACE_LOADED_OBJECTS": "1"]
    process.standardOutput = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return output.split(separator: "\n").compactMap { line in
      line.split(whereSeparator: \.isWhitespace).first.map { URL(filePath: String($0)).lastPathComponent }
    }
  }

  private func contains(_ bytes: Data, _ text: String) -> Bool {
    bytes.range(of: Data(text.utf8)) != nil
  }
}
