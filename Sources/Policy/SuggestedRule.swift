/// The narrowest rule that would allow what was denied.
public struct SuggestedRule: Hashable, Sendable {
}
