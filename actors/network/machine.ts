import { setup } from 'xstate'

/** Initializing → Running ⇄ Degraded → Stopping (design §3). Degraded: static peers are configured and no peer is ready. */
export const networkMachine = setup({
  types: { events: {} as { type: 'READY' | 'DEGRADED' | 'RECOVERED' | 'STOP' } },
}).createMachine({
  id: 'network',
  initial: 'Initializing',
  states: {
    Initializing: { on: { READY: 'Running' } },
    Running: { on: { DEGRADED: 'Degraded', STOP: 'Stopping' } },
    Degraded: { on: { RECOVERED: 'Running', STOP: 'Stopping' } },
    Stopping: {},
  },
})
