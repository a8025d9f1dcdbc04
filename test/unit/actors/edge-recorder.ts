/** Writes down the edges that actors and peg operations really take, one by one (SU-14). */
import { bridgeActor, pegInMachine, pegOutMachine } from '../../../actors/bridge/index.ts'
import { detectedDeposit, recordedPayout } from '../../../actors/bridge/operations.ts'
import { chainActor } from '../../../actors/chain/index.ts'
import { engineActor } from '../../../actors/engine/index.ts'
import { networkMachine } from '../../../actors/network/machine.ts'
import { storageActor } from '../../../actors/storage/index.ts'
import { streamMachine } from '../../../actors/stream/machine.ts'
import { syncMachine } from '../../../actors/sync/machine.ts'
import { edgesOf, type Mode, type System } from '../../../supervisor/index.ts'

/** Every machine of the node, by the actor's path; operations by their direction. */
export const MACHINES = {
  chain: chainActor().machine,
  bridge: bridgeActor.machine,
  pegIn: pegInMachine,
  pegOut: pegOutMachine,
  engine: engineActor.machine,
  storage: storageActor.machine,
  network: networkMachine,
  stream: streamMachine,
  sync: syncMachine,
} as const

/** `chain: Active —ASSIGNED_SLOT→ Producing`. */
const edgeText = (machine: string, from: string, event: string, to: string): string =>
  `${machine}: ${from} —${event}→ ${to}`

export const ALL_EDGES: readonly string[] = Object.entries(MACHINES).flatMap(([name, machine]) =>
  edgesOf(machine).map(({ from, event, to }) => edgeText(name, from, event, to)),
)

export class EdgeRecorder {
  readonly taken = new Set<string>()

  constructor() {
    // Operations are data whose modes are tables: whoever takes an edge looks it up there.
    this.#watch('pegIn', detectedDeposit('', undefined as never, 0, '', 0).mode)
    this.#watch('pegOut', recordedPayout('', 0, new Uint8Array(32), 0, '', 0).mode)
  }

  /** From now on; before `start`, so that the first edges are seen as well. */
  follow(system: System): void {
    system.subscribe((event) => {
      if (event.kind !== 'state') return
      this.taken.add(edgeText(event.path, event.from, event.event, event.to))
    })
  }

  #watch(machine: string, start: Mode): void {
    const modes = new Set([start])
    for (const mode of modes) {
      for (const next of mode.on.values()) modes.add(next)
      const look = mode.on.get.bind(mode.on)
      Object.defineProperty(mode.on, 'get', {
        value: (event: string) => {
          const next = look(event)
          if (next !== undefined) this.taken.add(edgeText(machine, mode.name, event, next.name))
          return next
        },
      })
    }
  }
}
