/**
 * All orders in which a driver may be told the same things: a search over its states, each looked at once. A state in the middle is
 * also an end: whatever was not told yet may be lost.
 */
import { type Block, blockHash } from '../../../../core/block/index.ts'
import type { GuardView } from '../../../../core/guard/index.ts'
import type { DriverState, Effect } from '../../../../core/pbft/index.ts'
import { toHex } from '../../../../crypto/index.ts'
import type { Desk } from './desk.ts'

/** One thing that the driver may be told, by its place in the list. */
export type Telling = (desk: Desk) => readonly Effect[]

export interface Orders {
  readonly states: number
  readonly transitions: number
  /** How many orders the states stand for: paths from the start to a full end; 2^53 at most. */
  readonly orders: number
  /** Heads of all states, and of those in which everything was told. */
  readonly heads: ReadonlySet<string>
  readonly ends: ReadonlySet<string>
  /** What was signed at one place with two contents, in any order. */
  readonly contradictions: readonly string[]
}

interface Node {
  readonly state: DriverState
  readonly guard: GuardView
  readonly nowMs: number
  /** What was told, as bits; what the driver asked to be executed and was not answered. */
  readonly told: number
  readonly asked: ReadonlyMap<string, Block>
  readonly head: string
  readonly signed: ReadonlyMap<string, string>
  paths: number
}

/** Every order of `tellings` and of the answers to what the driver has executed. */
export function searchOrders(start: () => Desk, tellings: readonly Telling[]): Orders {
  const desk = start()
  const first: Node = {
    state: desk.state,
    guard: desk.guard,
    nowMs: desk.nowMs,
    told: 0,
    asked: askedIn(new Map(), desk.log),
    head: 'none',
    signed: new Map(),
    paths: 1,
  }
  const contradictions: string[] = []
  const heads = new Set<string>()
  const ends = new Set<string>()
  let [states, transitions, orders] = [0, 0, 0]
  let layer = new Map([[keyOf(first), first]])
  while (layer.size > 0) {
    const next = new Map<string, Node>()
    for (const node of layer.values()) {
      states += 1
      heads.add(node.head)
      const follow = successors(start, node, tellings, contradictions)
      if (follow.length === 0) {
        ends.add(node.head)
        orders += node.paths
      }
      for (const one of follow) {
        transitions += 1
        const key = keyOf(one)
        const known = next.get(key)
        if (known === undefined) next.set(key, one)
        else known.paths += one.paths
      }
    }
    layer = next
  }
  return { states, transitions, orders, heads, ends, contradictions }
}

function successors(
  start: () => Desk,
  node: Node,
  tellings: readonly Telling[],
  contradictions: string[],
): Node[] {
  const follow: Node[] = []
  const step = (told: number, answered: string | undefined, telling: Telling) => {
    const desk = start()
    Object.assign(desk, { state: node.state, guard: node.guard, nowMs: node.nowMs })
    const effects = telling(desk)
    const asked = new Map(node.asked)
    if (answered !== undefined) asked.delete(answered)
    follow.push({
      state: desk.state,
      guard: desk.guard,
      nowMs: desk.nowMs,
      told,
      asked: askedIn(asked, effects),
      head: headIn(node.head, effects),
      signed: signedIn(node.signed, effects, contradictions),
      paths: node.paths,
    })
  }
  for (const [at, telling] of tellings.entries()) {
    if ((node.told & (1 << at)) === 0) step(node.told | (1 << at), undefined, telling)
  }
  for (const [hash, block] of node.asked) step(node.told, hash, (desk) => desk.found(block))
  return follow
}

function askedIn(asked: ReadonlyMap<string, Block>, effects: readonly Effect[]) {
  const all = new Map(asked)
  for (const effect of effects) {
    if (effect.kind === 'validate') all.set(toHex(blockHash(effect.block.header)), effect.block)
  }
  return all
}

function headIn(head: string, effects: readonly Effect[]): string {
  const [commit] = effects.filter((effect) => effect.kind === 'commit')
  if (effects.some(({ kind }) => kind === 'halt')) return 'halted'
  if (commit === undefined) return head
  return head === 'none' ? toHex(blockHash(commit.block.header)) : `${head} again`
}

function signedIn(
  signed: ReadonlyMap<string, string>,
  effects: readonly Effect[],
  contradictions: string[],
): ReadonlyMap<string, string> {
  const all = new Map(signed)
  for (const effect of effects) {
    if (effect.kind !== 'sign' || !('hash' in effect.record)) continue
    const { kind, view, hash } = effect.record
    const place = `${kind} ${view}`
    const text = toHex(hash)
    if ((all.get(place) ?? text) !== text) contradictions.push(place)
    all.set(place, text)
  }
  return all
}

function keyOf({ told, head, state, guard, asked }: Node): string {
  return `${told} ${head} ${[...asked.keys()].sort().join()} ${canonical([state.height, guard])}`
}

const names = new WeakMap<object, string>()

/** The same text for the same contents; of blocks the header, and no times. */
export function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  const known = names.get(value)
  if (known !== undefined) return known
  const text = describe(value)
  names.set(value, text)
  return text
}

function describe(value: object): string {
  if (value instanceof Uint8Array) return toHex(value)
  if (value instanceof Map) {
    return `{${[...value]
      .map(([key, one]) => `${key}:${canonical(one)}`)
      .sort()
      .join()}}`
  }
  if (value instanceof Set) return `<${[...value].map(canonical).sort().join()}>`
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if ('header' in value && 'body' in value) return toHex(blockHash((value as Block).header))
  const fields = Object.entries(value).filter(([name]) => !name.endsWith('AtMs') && name !== 'set')
  return `(${fields
    .map(([name, one]) => `${name}:${canonical(one)}`)
    .sort()
    .join()})`
}
