/// The version of this binary (semver.org).
let exitgateVersion = "0.1.0"
