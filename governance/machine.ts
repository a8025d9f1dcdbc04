import { setup } from 'xstate'

/** The mode of each actor of the member: Initializing → Running ⇄ Degraded → Stopping. */
export function memberMachine(id: string) {
  return setup({
    types: { events: {} as { type: 'READY' | 'DEGRADED' | 'RECOVERED' | 'STOP' } },
  }).createMachine({
    id,
    initial: 'Initializing',
    states: {
      Initializing: { on: { READY: 'Running' } },
      Running: { on: { DEGRADED: 'Degraded', STOP: 'Stopping' } },
      Degraded: { on: { RECOVERED: 'Running', STOP: 'Stopping' } },
      Stopping: {},
    },
  })
}
