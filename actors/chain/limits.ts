/** Bounds of this room. */

/** Waiting messages per priority class. */
export const MAILBOX_CAPACITY = 4_096

/** BP-6: a template must be there this long after the slot's start, or the slot is skipped. */
export const BUILD_BUDGET_MS = 500

/** The least that a second build gets, without peg operations, when the bridge objected to the first. */
export const REBUILD_BUDGET_MS = 150

/** Deadline of one execution by the engine. */
export const EXECUTE_TIMEOUT_MS = 30_000

/** Deadline of the bridge's answer about a proposal; later means: build without peg items, or abstain. */
export const PEG_CHECK_TIMEOUT_MS = 300

/** Deadline of a durable write. */
export const PERSIST_TIMEOUT_MS = 30_000

/** Approved deposits, and bookings, that wait for a block; more are refused and come again. */
export const MAX_QUEUED_OPERATIONS = 1_024

/** Approved changes of the validators that wait for a block; one of them can act. */
export const MAX_WAITING_CHANGES = 4

/** Approved orders about the peg that wait for a block of this node; a block has one. */
export const MAX_WAITING_ORDERS = 16

/** Executed blocks that wait for a decision. */
export const MAX_CANDIDATES = 64

/**
 * Blocks of a batch that are executed before they are stored. The engine holds 64 executed blocks (vm/evm) and lets the
 * oldest go: without it the blocks on top of it could neither be executed nor committed.
 */
export const MAX_UNSTORED_BLOCKS = 32

/** A sync that is silent for so long no longer keeps the node from voting. */
export const SYNC_PATIENCE_MS = 10_000
