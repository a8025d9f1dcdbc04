/** Bounds of what is held for others (BF-8). */

/** Views ahead of, and behind, the current one that votes and proposals are kept for. */
export const MAX_VIEWS_AHEAD = 8
export const MAX_VIEWS_BEHIND = 8
/** Heights ahead of the current one that messages are kept for. */
export const MAX_HEIGHTS_AHEAD = 2
/** Signed blocks of one author that are remembered, those of the highest slots: another one of such a slot is evidence. */
export const MAX_BLOCKS_PER_AUTHOR = 32
/** Answers with a committed block to one peer in one slot, and peers answered. */
export const MAX_ANSWERS_PER_SLOT = 4
export const MAX_ANSWERED_PEERS = 256
/** Peers named with a fetch. */
export const MAX_FETCH_PEERS = 8
/** Failed views that are kept to be shown. */
export const MAX_FAILURES_KEPT = 8
