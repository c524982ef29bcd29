import ArgumentParser

/// `exitgate completions`
struct Completions: Verb {
  static let configuration = CommandConfiguration(
    commandName: "completions",
    abstract: "Print a completion script for a shell.",
    discussion: """
      The script comes from the same declarations that parse the command line.

        exitgate completions bash > /etc/bash_completion.d/exitgate
        exitgate completions zsh  > /usr/share/zsh/vendor-completions/_exitgate
        exitgate completions fish > ~/.config/fish/completions/exitgate.fish
      """)

  /// The shells there are scripts for.
  enum Shell: String, ExpressibleByArgument, CaseIterable {
    case bash, zsh, fish
  }

  @Argument(help: "The shell: bash, zsh or fish.")
  var shell: Shell

  func run(in here: Surroundings) -> Int32 {
    let target: CompletionShell =
      switch shell {
      case .bash: .bash
      case .zsh: .zsh
      case .fish: .fish
      }
    here.console.result(lines: Exitgate.completionScript(for: target))
    return 0
  }
}
