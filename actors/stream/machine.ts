import { setup } from 'xstate'

/** Initializing → Running ⇄ Degraded → Stopping (design §3). Degraded: fewer members than the threshold are here. */
export const streamMachine = setup({
  types: { events: {} as { type: 'READY' | 'DEGRADED' | 'RECOVERED' | 'STOP' } },
}).createMachine({
  id: 'stream',
  initial: 'Initializing',
  states: {
    Initializing: { on: { READY: 'Running' } },
    Running: { on: { DEGRADED: 'Degraded', STOP: 'Stopping' } },
    Degraded: { on: { RECOVERED: 'Running', STOP: 'Stopping' } },
    Stopping: {},
  },
})
