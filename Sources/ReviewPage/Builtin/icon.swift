// Written by scripts/embed-page. Change Assets/review.svg instead.

extension PageAsset {
  static let icon =
    #"""
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="#57606a" d="M2 1h8v3H5v8h5v3H2z"/><path fill="#0969da" d="M7 7h4V4l4 4-4 4V9H7z"/></svg>

    """#
}
