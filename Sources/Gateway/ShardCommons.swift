/// What all loops of a gate share; each part has its own lock.
final class ShardCommons: Sendable {
  /// What agents have used of rules' limits.
  let ledger = Ledger()
  /// What agents have used of the budgets for new labels.
  let labels = LabelLedger()
  /// Who asks people for what.
  let approvals: ApprovalDesk
  /// The addresses that stand for names; nil where names have their own.
  let pool: SyntheticPool?

  /// Finds who is behind a client's connection; nil where nobody can tell.
  let witness: FindProgram?

  /// Makes what a gate begins with.
  init(pool: SyntheticPool?, approvals: ApprovalDesk, witness: FindProgram? = nil) {
    self.pool = pool
    self.approvals = approvals
    self.witness = witness
  }
}
