/**
 * An xstate machine as a table. The kernel's machines say the mode and nothing else, so all that can happen to
 * one is known beforehand: the table is made once with xstate's pure `transition`, and a step of an actor is a
 * map look-up instead of an interpreter's run. What a table cannot hold (guards, actions, delays, invocations,
 * history, context) is refused when the table is made.
 */
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  initialTransition,
  transition,
} from 'xstate'

export interface Mode {
  /** `Running`, or `Running.Importing` for nested states, joined by `|` for parallel ones. */
  readonly name: string
  /** A final state: the actor has completed. */
  readonly done: boolean
  /** The mode after an event; undefined when this mode does not accept it. */
  readonly on: ReadonlyMap<string, Mode>
}

export interface Edge {
  readonly from: string
  readonly event: string
  readonly to: string
}

type Node = AnyStateMachine['root']

const refuse = (machine: AnyStateMachine, node: Node, what: string): never => {
  throw new Error(`machine ${machine.id}: state ${node.id} has ${what}; a mode is names only`)
}

const check = (machine: AnyStateMachine, node: Node): void => {
  if (node.invoke.length > 0) refuse(machine, node, 'an invocation')
  if (node.type === 'history') refuse(machine, node, 'a history')
  const all = [...node.transitions].flatMap(([event, list]) => {
    if (event.startsWith('xstate.after')) refuse(machine, node, 'a delay')
    return list
  })
  if (node.entry.length > 0 || node.exit.length > 0) refuse(machine, node, 'entry or exit actions')
  for (const edge of [...all, ...(node.always ?? [])]) {
    if (edge.guard !== undefined) refuse(machine, node, 'a guard')
    if (edge.actions.length > 0) refuse(machine, node, 'a transition with actions')
  }
  for (const child of Object.values(node.states)) check(machine, child)
}

const nameOf = (value: unknown): string => {
  if (typeof value === 'string') return value
  const parts = Object.entries(value as Record<string, unknown>).map(([key, inner]) => {
    const rest = nameOf(inner)
    return rest === '' ? key : `${key}.${rest}`
  })
  return parts.join('|')
}

/** The initial mode of the machine; the others hang on it. */
export const compileMachine = (machine: AnyStateMachine): Mode => {
  check(machine, machine.root)
  const known = new Map<string, Mode>()
  const visit = (snapshot: AnyMachineSnapshot): Mode => {
    const name = nameOf(snapshot.value)
    const found = known.get(name)
    if (found !== undefined) return found
    const on = new Map<string, Mode>()
    const mode: Mode = { name, done: snapshot.status === 'done', on }
    known.set(name, mode)
    if (mode.done) return mode
    for (const event of machine.events) {
      if (!snapshot.can({ type: event })) continue
      on.set(event, visit(transition(machine, snapshot, { type: event })[0] as AnyMachineSnapshot))
    }
    return mode
  }
  return visit(initialTransition(machine)[0] as AnyMachineSnapshot)
}

/** All edges of the machine, for diagrams and exhaustive tests. */
export const edgesOf = (machine: AnyStateMachine): readonly Edge[] => {
  const edges: Edge[] = []
  const seen = new Set<Mode>()
  const walk = (mode: Mode): void => {
    if (seen.has(mode)) return
    seen.add(mode)
    for (const [event, next] of mode.on) {
      edges.push({ from: mode.name, event, to: next.name })
      walk(next)
    }
  }
  walk(compileMachine(machine))
  return edges
}
