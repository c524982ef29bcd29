import ArgumentParser

/// `exitgate man`
struct Man: Verb {
  static let configuration = CommandConfiguration(
    commandName: "man",
    abstract: "Print the manual page.",
    discussion: """
      The page comes from the same declarations that parse the command line.

        exitgate man | man -l -
        exitgate man > /usr/share/man/man8/exitgate.8
      """)

  func run(in here: Surroundings) -> Int32 {
    here.console.result(lines: ManualPage(CommandTree(Exitgate.self), version: exitgateVersion).roff)
    return 0
  }
}
