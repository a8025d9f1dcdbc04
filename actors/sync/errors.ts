/** What a peer may do wrong in answering for blocks, and what it costs; a hundred points are a ban. */
export const LIE_SCORE = 34
/** It claims a height and has nothing there. */
export const EMPTY_SCORE = 5

export type RangeFault =
  /** More blocks than were asked for. */
  | 'TooManyBlocks'
  | 'WrongHeight'
  /** A block does not name the one before it as its parent. */
  | 'BrokenLink'
  /** A certificate is about another block. */
  | 'CertificateMismatch'
  /** Larger than an answer may be. */
  | 'TooLarge'
