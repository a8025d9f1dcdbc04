import { setup } from 'xstate'

/**
 * The seeds' diagram of the BridgeActor (seed 003 §8), in three parts: the actor stays in Monitoring while each operation
 * walks its own machine from Monitoring to Monitoring. Their union is the diagram.
 */
export const bridgeMachine = setup({
  types: {
    events: {} as {
      type: 'CONNECTED' | 'CONNECTION_ERROR' | 'RECOVERED' | 'TERMINAL_ERROR'
    },
  },
}).createMachine({
  id: 'bridge',
  initial: 'Initializing',
  states: {
    Initializing: { on: { CONNECTED: 'Monitoring', CONNECTION_ERROR: 'Failed' } },
    Monitoring: {},
    Failed: { on: { RECOVERED: 'Monitoring', TERMINAL_ERROR: 'Terminated' } },
    Terminated: { type: 'final' },
  },
})

/** A crash before Bitcoin answered, and the end of the actor. */
export const BRIDGE_FOLLOWS = {
  FAULT: ['CONNECTION_ERROR'],
  GIVE_UP: ['TERMINAL_ERROR'],
} as const

/** One deposit. */
export const pegInMachine = setup({
  types: {
    events: {} as {
      type:
        | 'BITCOIN_TX_DETECTED'
        | 'VALIDATION_PASSED'
        | 'VALIDATION_FAILED'
        | 'GOVERNANCE_APPROVED'
        | 'GOVERNANCE_DENIED'
    },
  },
}).createMachine({
  id: 'pegin',
  initial: 'Monitoring',
  states: {
    Monitoring: { on: { BITCOIN_TX_DETECTED: 'ProcessingPegIn' } },
    ProcessingPegIn: {
      on: { VALIDATION_PASSED: 'WaitingApproval', VALIDATION_FAILED: 'Monitoring' },
    },
    WaitingApproval: { on: { GOVERNANCE_APPROVED: 'Monitoring', GOVERNANCE_DENIED: 'Monitoring' } },
  },
})

/** One batch of the reserve. */
export const pegOutMachine = setup({
  types: {
    events: {} as {
      type:
        | 'BURN_DETECTED'
        | 'TX_CREATED'
        | 'TX_CREATION_FAILED'
        | 'SIGNATURES_COLLECTED'
        | 'SIGNATURE_TIMEOUT'
        | 'TX_BROADCASTED'
        | 'BROADCAST_ERROR'
        | 'RECOVERED'
    },
  },
}).createMachine({
  id: 'pegout',
  initial: 'Monitoring',
  states: {
    Monitoring: { on: { BURN_DETECTED: 'ProcessingPegOut' } },
    ProcessingPegOut: {
      on: { TX_CREATED: 'CollectingSignatures', TX_CREATION_FAILED: 'Monitoring' },
    },
    CollectingSignatures: {
      on: { SIGNATURES_COLLECTED: 'Broadcasting', SIGNATURE_TIMEOUT: 'Monitoring' },
    },
    Broadcasting: { on: { TX_BROADCASTED: 'Monitoring', BROADCAST_ERROR: 'Failed' } },
    Failed: { on: { RECOVERED: 'Monitoring' } },
  },
})
