import Pages

/// What a page needs beside itself; compiled in, so that nothing comes from elsewhere.
enum PageAsset {
  /// The asset of that name; nil where there is none.
  static func answer(_ name: String) -> PageAnswer? {
    switch name {
    case "review.css": PageAnswer(type: "text/css; charset=utf-8", body: Array(stylesheet.utf8))
    case "review.js": PageAnswer(type: "text/javascript; charset=utf-8", body: Array(script.utf8))
    case "review.svg": PageAnswer(type: "image/svg+xml", body: Array(icon.utf8))
    default: nil
    }
  }
}
