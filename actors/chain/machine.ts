import { setup } from 'xstate'

/** The seeds' diagram of the ChainActor (seed 003 §8). */
export const chainMachine = setup({
  types: {
    events: {} as {
      type:
        | 'GENESIS_LOADED'
        | 'GENESIS_ERROR'
        | 'CAUGHT_UP'
        | 'SYNC_ERROR'
        | 'ASSIGNED_SLOT'
        | 'RECEIVED_BLOCK'
        | 'FELL_BEHIND'
        | 'BLOCK_PRODUCED'
        | 'PRODUCTION_ERROR'
        | 'BLOCK_IMPORTED'
        | 'IMPORT_ERROR'
        | 'RECOVER'
        | 'TERMINAL_ERROR'
    },
  },
}).createMachine({
  id: 'chain',
  initial: 'Initializing',
  states: {
    Initializing: { on: { GENESIS_LOADED: 'Syncing', GENESIS_ERROR: 'Failed' } },
    Syncing: { on: { CAUGHT_UP: 'Active', SYNC_ERROR: 'Failed' } },
    Active: {
      on: { ASSIGNED_SLOT: 'Producing', RECEIVED_BLOCK: 'Importing', FELL_BEHIND: 'Syncing' },
    },
    Producing: { on: { BLOCK_PRODUCED: 'Active', PRODUCTION_ERROR: 'Failed' } },
    Importing: { on: { BLOCK_IMPORTED: 'Active', IMPORT_ERROR: 'Failed' } },
    Failed: { on: { RECOVER: 'Syncing', TERMINAL_ERROR: 'Terminated' } },
    Terminated: { type: 'final' },
  },
})

/** A crash shows in the mode where the diagram has an edge for it; the end of the actor is the diagram's terminal error. */
export const CHAIN_FOLLOWS = {
  FAULT: ['GENESIS_ERROR', 'SYNC_ERROR', 'PRODUCTION_ERROR', 'IMPORT_ERROR'],
  GIVE_UP: ['TERMINAL_ERROR'],
} as const
