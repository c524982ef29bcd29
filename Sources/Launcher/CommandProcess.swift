import CLinux
import Confinement
import Glibc
import SystemPackage

/// The command itself: the last steps before its program takes over.
struct CommandProcess {
  private let plan: SandboxPlan

  init(_ plan: SandboxPlan) { self.plan = plan }

  /// Gives up everything and becomes the program.
  ///
  /// - Parameters:
  ///   - terminal: What becomes its session's terminal, in place of the streams that the plan names.
  ///   - report: Gets the errno of what failed; closed by the start of the program.
  func become(at terminal: Int32?, reporting report: Int32) -> Never {
    setsid()
    if let terminal {
      guard linux_take_terminal(terminal) == 0 else { fail(errno, report) }
      for stream in plan.terminal { dup2(terminal, stream) }
    }
    // What takes cores on the host is none of the sandbox's.
    _ = linux_limit_core(0)
    guard limit() else { fail(errno, report) }
    guard chdir(plan.command.directory) == 0 else { fail(errno, report) }
    do throws(ConfinementError) {
      let outcome = try Confinement.apply(.command(files: plan.view.landlock))
      guard outcome.isFiltered else { fail(ENOSYS, report) }
    } catch {
      if case .refused(_, let number) = error { fail(number.rawValue, report) }
      fail(EPERM, report)
    }
    KeeperProcess.closeDescriptors(except: [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, report])
    linux_reset_signals()
    fail(execute(), report)
  }

  /// In a user namespace of its own, only the sandbox's processes count (user_namespaces(7)).
  private func limit() -> Bool {
    if let count = plan.limits.processes, linux_limit_processes(UInt64(count)) != 0 { return false }
    if let bytes = plan.limits.memory, linux_limit_memory(bytes) != 0 { return false }
    return true
  }

  /// Replaces this process by the program.
  ///
  /// - Returns: Why there is none: what was found and could not be run comes
  ///   before what was not found, as for execvp(3).
  private func execute() -> Int32 {
    let environment = plan.command.environment.map { "\($0.key)=\($0.value)" }.sorted()
    var reason = ENOENT
    for candidate in plan.command.candidates {
      withCStrings(plan.command.arguments) { arguments in
        withCStrings(environment) { variables in
          _ = execve(candidate, arguments, variables)
          // A script that does not say what runs it is the shell's (execvp(3)).
          guard errno == ENOEXEC else { return }
          withCStrings(["/bin/sh", candidate] + plan.command.arguments.dropFirst()) {
            _ = execve("/bin/sh", $0, variables)
          }
        }
      }
      if errno != ENOENT, errno != ENOTDIR { reason = errno }
    }
    return reason
  }

  private func fail(_ number: Int32, _ report: Int32) -> Never {
    withUnsafeBytes(of: number) { _ = write(report, $0.baseAddress, $0.count) }
    _exit(127)
  }
}

/// An array of C strings with a null behind it, for the time of a call.
private func withCStrings(_ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Void) {
  let pointers = strings.map { strdup($0) }
  defer { pointers.forEach { free($0) } }
  body(pointers + [nil])
}
