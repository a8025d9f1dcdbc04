import { setup } from 'xstate'

/** Initializing → Running ⇄ Degraded → Stopping (design §3). */
export const engineMachine = setup({
  types: { events: {} as { type: 'READY' | 'DEGRADED' | 'RECOVERED' | 'STOP' } },
}).createMachine({
  id: 'engine',
  initial: 'Initializing',
  states: {
    Initializing: { on: { READY: 'Running' } },
    Running: { on: { DEGRADED: 'Degraded', STOP: 'Stopping' } },
    Degraded: { on: { RECOVERED: 'Running', STOP: 'Stopping' } },
    Stopping: {},
  },
})
