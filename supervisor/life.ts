/** The life of every actor: the state diagram of seed 003 §6 (SU-1), and no other transition. */
import { createMachine } from 'xstate'

export type Life = 'Initializing' | 'Running' | 'Failed' | 'Restarting' | 'Stopping' | 'Terminated'

export type LifeEvent =
  | 'INITIALIZED'
  | 'FAULT'
  | 'SHUTDOWN'
  | 'RESTART'
  | 'ATTEMPT'
  | 'GIVE_UP'
  | 'STOPPED'

export const lifeMachine = createMachine({
  id: 'life',
  initial: 'Initializing',
  states: {
    Initializing: { on: { INITIALIZED: 'Running', FAULT: 'Failed' } },
    Running: { on: { FAULT: 'Failed', SHUTDOWN: 'Stopping' } },
    Failed: { on: { RESTART: 'Restarting', GIVE_UP: 'Terminated' } },
    Restarting: { on: { ATTEMPT: 'Initializing', GIVE_UP: 'Terminated' } },
    Stopping: { on: { STOPPED: 'Terminated' } },
    Terminated: { type: 'final' },
  },
})
