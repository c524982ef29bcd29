/// What the gate says of the process that keeps its table.
enum FenceWords {
  static let silent =
    "the process that keeps the kernel's table does not answer; the table holds what it held, and nothing can be "
    + "changed in it"
  static let answering = "the process that keeps the kernel's table answers again"
}
