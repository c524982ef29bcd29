import Glibc
import Launcher

/// What of the host a command sees when nobody says anything: programs and their
/// settings, to read; nothing of anybody's own.
///
/// - Source: hier(7), file-hierarchy(7).
enum SystemFiles {
  /// Programs, libraries and settings.
  private static let readable = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix",
    "/var/lib/ca-certificates",
  ]

  /// Secrets of the system among its settings. An ordinary user cannot read most of them anyway.
  private static let secrets = [
    "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d",
    "/etc/ssl/private", "/etc/krb5.keytab", "/etc/kubernetes", "/etc/rancher", "/etc/wireguard",
    "/etc/NetworkManager/system-connections", "/etc/docker/key.json", "/etc/letsencrypt", "/etc/exitgate",
  ]

  /// What programs keep of a person's secrets, beneath the home directory: seen only where it is named itself.
  static let credentials = [
    ".ssh", ".gnupg", ".aws", ".azure", ".config/gcloud", ".config/gh", ".config/exitgate", ".docker",
    ".kube",
    ".netrc", ".git-credentials", ".config/git/credentials", ".npmrc", ".yarnrc.yml", ".pypirc",
    ".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".m2/settings.xml", ".terraform.d",
    ".vault-token", ".password-store", ".local/share/keyrings", ".local/state/exitgate", ".mozilla",
    ".config/google-chrome", ".config/chromium", ".bash_history", ".zsh_history", ".python_history",
    ".psql_history", ".mysql_history", ".pgpass", ".my.cnf", ".claude/.credentials.json", ".codex/auth.json",
  ]

  /// The view that every command begins with.
  static func view(home: String?) -> FileView {
    var view = FileView()
    for path in readable {
      if let target = linkTarget(path) {
        view.links[path] = target
      } else if access(path, F_OK) == 0 {
        view.set(.read, at: path, by: .system)
      }
    }
    for path in secrets + hostKeys() where access(path, F_OK) == 0 {
      view.set(.hidden, at: path, by: .systemSecrets)
    }
    for path in ["/tmp", "/var/tmp", "/run"] { view.set(.own, at: path, by: .scratch) }
    view.links["/var/run"] = "/run"
    view.links["/var/lock"] = "/run/lock"
    if let home, home != "/" {
      view.set(.own, at: home, by: .home)
      for path in credentials { view.set(.hidden, at: "\(home)/\(path)", by: .credentials) }
    }
    // Whoever is asked, it is the gate that answers.
    view.resolverFile = "nameserver 127.0.0.1\n"
    return view
  }

  /// Whether a place is one that is seen only where it is named itself.
  static func isSecret(_ place: String, home: String?) -> Bool {
    let own = home.map { home in credentials.map { "\(home)/\($0)" } } ?? []
    return (secrets + own).contains { FileView.contains($0, place) }
  }

  /// Whether a working directory holds more than a project.
  static func opensTooMuch(_ directory: String, home: String?) -> Bool {
    let whole = [
      "/", "/tmp", "/var", "/var/tmp", "/run", "/home", "/root", "/srv", "/mnt", "/media", "/dev", "/proc",
    ]
    return whole.contains(directory) || readable.contains(directory)
      || ["/proc", "/sys", "/dev"].contains { FileView.contains($0, directory) }
      || home.map { FileView.contains(directory, $0) } ?? false || isSecret(directory, home: home)
  }

  private static func hostKeys() -> [String] {
    guard let directory = opendir("/etc/ssh") else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name.hasPrefix("ssh_host_"), name.hasSuffix("_key") { names.append("/etc/ssh/\(name)") }
    }
    return names
  }
}
