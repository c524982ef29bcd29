import Policy
import PolicyFile

private let runModes: [RunMode] = [.serve, .run, .sidecar, .gateway]

/// Policies: errors are never an empty list, places count from one, and the same
/// text gives the same answer. Includes find no files: the directory is not there.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPolicyFile(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  let loader = PolicyLoader(
    runMode: runModes[count % runModes.count], environment: [:], workingDirectory: "/nonexistent",
    now: Timestamp(milliseconds: 1_795_000_000_000), root: "/nonexistent")
  let text = String(decoding: bytes, as: UTF8.self)
  do throws(PolicyFileError) {
    let loaded = try loader.load(text: text, named: "fuzz.yaml")
    precondition(loaded.warnings.allSatisfy { $0.line >= 1 && $0.column >= 1 })
  } catch {
    precondition(
      !error.diagnostics.isEmpty && error.diagnostics.allSatisfy { $0.line >= 1 && $0.column >= 1 })
  }
  _ = try? loader.expectations(text: text, named: "fuzz.yaml")
  return 0
}
