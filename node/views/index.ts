/** Reads of committed state for the API and the members' streams: none of them enters a mailbox (design §3). */
export { type ChainViewOptions, createChainReader, createChainView } from './chain.ts'
export { type BitcoinStatus, LiveViews } from './live.ts'
export { createPegView, type PegViewOptions } from './peg.ts'
