/** The machines against the seeds' diagrams, edge by edge (seed 003 §6, §8). */

import type { AnyStateMachine } from 'xstate'
import { bridgeMachine, pegInMachine, pegOutMachine } from '../../../actors/bridge/machine.ts'
import { chainMachine } from '../../../actors/chain/machine.ts'
import { engineMachine } from '../../../actors/engine/machine.ts'
import { storageMachine } from '../../../actors/storage/machine.ts'
import { edgesOf } from '../../../supervisor/index.ts'

const edges = (...machines: readonly AnyStateMachine[]) =>
  [
    ...new Set(
      machines.flatMap((machine) => edgesOf(machine).map(({ from, to }) => `${from} → ${to}`)),
    ),
  ].sort()

describe('seed 003 §8', () => {
  it('the ChainActor has exactly the edges of its diagram', () => {
    expect(edges(chainMachine)).toEqual(
      [
        'Initializing → Syncing',
        'Initializing → Failed',
        'Syncing → Active',
        'Syncing → Failed',
        'Active → Producing',
        'Active → Importing',
        'Active → Syncing',
        'Producing → Active',
        'Producing → Failed',
        'Importing → Active',
        'Importing → Failed',
        'Failed → Syncing',
        'Failed → Terminated',
      ].sort(),
    )
  })

  it('bridge, peg-in and peg-out together have exactly the edges of the BridgeActor’s diagram', () => {
    expect(edges(bridgeMachine, pegInMachine, pegOutMachine)).toEqual(
      [
        'Initializing → Monitoring',
        'Initializing → Failed',
        'Monitoring → ProcessingPegIn',
        'Monitoring → ProcessingPegOut',
        'ProcessingPegIn → WaitingApproval',
        'ProcessingPegIn → Monitoring',
        'ProcessingPegOut → CollectingSignatures',
        'ProcessingPegOut → Monitoring',
        'WaitingApproval → Monitoring',
        'CollectingSignatures → Broadcasting',
        'CollectingSignatures → Monitoring',
        'Broadcasting → Monitoring',
        'Broadcasting → Failed',
        'Failed → Monitoring',
        'Failed → Terminated',
      ].sort(),
    )
  })

  it('approval and denial are two ways back to Monitoring', () => {
    const events = edgesOf(pegInMachine).filter(({ from }) => from === 'WaitingApproval')
    expect(events.map(({ event, to }) => [event, to])).toEqual([
      ['GOVERNANCE_APPROVED', 'Monitoring'],
      ['GOVERNANCE_DENIED', 'Monitoring'],
    ])
  })
})

describe('design §3', () => {
  it('the others go Initializing → Running ⇄ Degraded → Stopping', () => {
    for (const machine of [storageMachine, engineMachine]) {
      expect(edges(machine)).toEqual(
        [
          'Initializing → Running',
          'Running → Degraded',
          'Degraded → Running',
          'Running → Stopping',
          'Degraded → Stopping',
        ].sort(),
      )
    }
  })
})
