import { setup } from 'xstate'

/**
 * Idle → Headers → Bodies → Importing → Idle | Stalled (design §3). Headers: who claims to have more. Bodies: ranges
 * are under way. Importing: the lowest range is verified and imported, while others go on arriving. An episode ends
 * in Headers, when nobody has more. No state is without a way back to Idle.
 */
export const syncMachine = setup({
  types: {
    events: {} as {
      type:
        | 'REQUIRED'
        | 'PLANNED'
        | 'IMPORT'
        | 'IMPORTED'
        | 'DRAINED'
        | 'COMPLETED'
        | 'STALLED'
        | 'RETRY'
    },
  },
}).createMachine({
  id: 'sync',
  initial: 'Idle',
  states: {
    Idle: { on: { REQUIRED: 'Headers' } },
    Headers: { on: { PLANNED: 'Bodies', COMPLETED: 'Idle', STALLED: 'Stalled' } },
    Bodies: { on: { IMPORT: 'Importing', DRAINED: 'Headers' } },
    Importing: { on: { IMPORTED: 'Bodies', STALLED: 'Stalled' } },
    Stalled: { on: { RETRY: 'Headers' } },
  },
})
