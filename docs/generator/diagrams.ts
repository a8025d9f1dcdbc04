/** State diagrams of the READMEs: drawn from the machines, between two markers. */
import type { AnyStateMachine } from 'xstate'
import { bridgeMachine, pegInMachine, pegOutMachine } from '../../actors/bridge/machine.ts'
import { chainMachine } from '../../actors/chain/machine.ts'
import { engineMachine } from '../../actors/engine/machine.ts'
import { networkMachine } from '../../actors/network/machine.ts'
import { storageMachine } from '../../actors/storage/machine.ts'
import { streamMachine } from '../../actors/stream/machine.ts'
import { syncMachine } from '../../actors/sync/machine.ts'
import { compileMachine, edgesOf, lifeMachine, type Mode } from '../../supervisor/index.ts'
import { readSource } from './source.ts'

const BEGIN = '<!-- states: written by `npm run docs` from the machine -->'
const END = '<!-- /states -->'

/** Machines by the README that shows them, each with a line of its own where there are several. */
export const DIAGRAMS: Readonly<Record<string, readonly (readonly [string, AnyStateMachine])[]>> = {
  'actors/bridge/README.md': [
    ['The actor:', bridgeMachine],
    ['One deposit:', pegInMachine],
    ['One batch:', pegOutMachine],
  ],
  'actors/chain/README.md': [['', chainMachine]],
  'actors/engine/README.md': [['', engineMachine]],
  'actors/network/README.md': [['', networkMachine]],
  'actors/storage/README.md': [['', storageMachine]],
  'actors/stream/README.md': [['', streamMachine]],
  'actors/sync/README.md': [['', syncMachine]],
  'supervisor/README.md': [['', lifeMachine]],
}

/** Events between the same two states share an arrow. */
function arrowsOf(machine: AnyStateMachine): string[] {
  const arrows = new Map<string, string[]>()
  for (const { from, event, to } of edgesOf(machine)) {
    const arrow = `${from} --> ${to}`
    arrows.set(arrow, [...(arrows.get(arrow) ?? []), event])
  }
  return [...arrows].map(([arrow, events]) => `${arrow} : ${events.join(', ')}`)
}

function finalsOf(start: Mode): string[] {
  const modes = new Set([start])
  for (const mode of modes) for (const next of mode.on.values()) modes.add(next)
  return [...modes].filter(({ done }) => done).map(({ name }) => `${name} --> [*]`)
}

function diagram(machine: AnyStateMachine): string {
  const start = compileMachine(machine)
  const lines = [`[*] --> ${start.name}`, ...arrowsOf(machine), ...finalsOf(start)]
  return ['```mermaid', 'stateDiagram-v2', ...lines.map((line) => `    ${line}`), '```'].join('\n')
}

/** The README with its diagrams as the machines have them. */
export function readmeWithDiagrams(path: string): string {
  const text = readSource(path)
  const begin = text.indexOf(BEGIN)
  const end = text.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`${path} has no place for its state diagram`)
  const drawn = (DIAGRAMS[path] ?? []).flatMap(([title, machine]) => [
    ...(title === '' ? [] : [title]),
    diagram(machine),
  ])
  return `${text.slice(0, begin)}${[BEGIN, ...drawn].join('\n\n')}\n\n${text.slice(end)}`
}
