/** Bounds of this room. */

/** Waiting messages per priority class. */
export const MAILBOX_CAPACITY = 2_048

/** Open deposits that are followed at once; more are found again by a later scan. */
export const MAX_DEPOSITS = 4_096

/** Blocks that one look at Bitcoin scans. */
export const MAX_BLOCKS_PER_SCAN = 100

/** Blocks that are asked for while another is read: of four megabytes each, and as much again in hex. */
export const BLOCKS_AHEAD = 2

/** A scan lets others have their turn after so many questions to the ledger: some two milliseconds. A proof costs as much as this many. */
export const STEPS_PER_TURN = 1_000
export const STEPS_PER_PROOF = 50

/** The mempool is looked at this often, at most; a look that nothing came of is given up after the longer time. */
export const MEMPOOL_LOOK_MS = 30_000
export const MEMPOOL_LOST_MS = 60_000

/** Blocks that one look for conflicts reads of the best chain, for each deposit. */
export const MAX_BLOCKS_PER_CONFLICT_LOOK = 20

/** A deposit whose block was replaced together with more than these is a matter for the members. */
export const MAX_REPLACED_BLOCKS = 100

/** Of a deposit's ancestors that were replaced with it, without witness; who makes more of them is a matter for the members. */
export const MAX_ANCESTOR_BYTES = 8 * 1024 * 1024

/** Looks for conflicts begin this often, at most; one that nothing came of is given up after the longer time. */
export const CONFLICT_LOOK_MS = 10_000
export const CONFLICT_LOST_MS = 120_000

/** Transactions of the mempool that one look reads, each a question. */
export const MAX_MEMPOOL_READS = 64

/** Where more wait the mempool is not known: its list would keep the whole node waiting while it is read. */
export const MAX_MEMPOOL_TRANSACTIONS = 5_000

/** Deposits that are shown while no block holds them. */
export const MAX_PENDING_DEPOSITS = 256

/** Blocks of a proposal that Bitcoin is asked for at once; Core's own queue holds 16, and each takes two questions. */
export const MAX_QUESTIONS = 6

/** Headers that one block may add (protocol §4.1). */
export const MAX_HEADERS_PER_BLOCK = 144

/** Scanned blocks that are remembered to notice a reorg. */
export const SCAN_MEMORY_BLOCKS = 200

/** PI-10: a request for approval without a quorum is repeated after this time. */
export const APPROVAL_RETRY_MS = 5_000

/** PO-15: a version that Bitcoin has had for so many blocks without mining it is to be bumped. */
export const UNCONFIRMED_BLOCKS = 3

/** Deposits that the members are asked about at a time: an answer takes a look at Bitcoin and a pairing. */
export const MAX_ASKED_DEPOSITS = 64

/** Approvals that wait for the header of their block: how many, and how long. */
export const MAX_EARLY_APPROVALS = 256
export const EARLY_APPROVAL_MS = 10 * 60_000

/** A claim reads and parses a block: one in this time, whoever asks. */
export const CLAIM_PAUSE_MS = 2_000

/** PO-14: an unconfirmed transaction is sent again after this time. */
export const REBROADCAST_MS = 30_000

/** Burns whose flow is remembered until a batch holds them. */
export const MAX_REMEMBERED_BURNS = 4_096

/** Finished operations that the status page still shows. */
export const MAX_FINISHED = 50

/** The age of the reserve's outputs is looked at this often; from this percentage of the recovery delay on it is an alarm (PO-22). */
export const AGE_LOOK_BLOCKS = 100
export const AGE_ALARM_PERCENT = 60
