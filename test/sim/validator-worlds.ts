/**
 * Worlds in which the validators change all the time: keys leave and come back, power moves, nodes die and start again, and doubled
 * changes are submitted. Everyone must agree on validators(h), and every certificate must be one of that set (P 1.4, BF-13, BF-1).
 */
import {
  type CommittedBlock,
  decodeCommittedBlock,
  type ValidatorChange,
} from '../../core/block/index.ts'
import type { Ledger } from '../../core/ledger/index.ts'
import { certifiedHeader, followHeader, trustGenesis } from '../../core/light/index.ts'
import { verifyCertificate } from '../../core/pbft/index.ts'
import {
  latestValidators,
  nextSequence,
  validatorsAt,
  validatorsHash,
} from '../../core/validators/index.ts'
import { equalBytes, provePossession } from '../../crypto/index.ts'
import type { SubmitValidatorChange } from '../../messages/index.ts'
import { SimulatedBitcoin } from './bitcoin.ts'
import type { Chance } from './chance.ts'
import { approvedChange } from './changes.ts'
import { createFederation, type Federation } from './federation.ts'
import { Network } from './network.ts'
import { SimulatedNode, type Surroundings } from './node.ts'
import { Streams } from './streams.ts'
import { ValidatorBook } from './validator-book.ts'
import { World } from './world.ts'

const CHANGE_MS = 2_500
const FAULT_MS = 6_000
const DOWN_MS = 1_500
const LOAD_MS = 40_000
const HEAL_MS = 60_000

export interface ValidatorWorldReport {
  readonly seed: number
  readonly violations: readonly string[]
  readonly height: number
  /** Changes that blocks carried. */
  readonly decided: number
  readonly sizes: readonly number[]
  readonly powers: readonly number[]
}

export class ValidatorWorld {
  readonly #world: World
  readonly #federation: Federation
  readonly #chance: Chance
  readonly #nodes: readonly SimulatedNode[]
  readonly #chain = new Map<number, CommittedBlock>()
  readonly #violations: string[] = []
  #isHealing = false

  constructor(seed: number, nodes = 4) {
    const world = new World(seed)
    const federation = createFederation(nodes, 4)
    const around: Surroundings = {
      world,
      federation,
      book: new ValidatorBook(world, federation.genesis),
      network: new Network(
        world,
        () => {},
        () => {},
      ),
      bitcoin: new SimulatedBitcoin(world, federation),
      streams: new Streams(world),
    }
    this.#world = world
    this.#federation = federation
    this.#chance = world.chance('validators')
    const observer = {
      stored: (
        node: SimulatedNode,
        {
          bytes,
          hash,
          height,
        }: { readonly bytes: Uint8Array; readonly hash: Uint8Array; readonly height: number },
      ) => {
        const decoded = decodeCommittedBlock(bytes)
        if (!decoded.ok) throw new Error(`${node.name} stored what is no block`)
        const known = this.#chain.get(height)
        if (known === undefined) this.#chain.set(height, decoded.value)
        else if (!equalBytes(known.certificate.blockHash, hash)) {
          this.#violations.push(`${node.name} has another block ${height}`)
        }
      },
    }
    this.#nodes = federation.validators.map(
      (_, index) => new SimulatedNode(index, around, observer),
    )
  }

  async run(): Promise<ValidatorWorldReport> {
    const world = this.#world
    for (const node of this.#nodes) {
      world.at(this.#chance.between(0, 300), 'start', () => node.start())
    }
    this.#every(CHANGE_MS, 'change', () => this.#change())
    this.#every(FAULT_MS, 'crash', () => this.#crash())
    await world.run(LOAD_MS)
    this.#isHealing = true
    for (const node of this.#nodes) if (!node.alive) node.start()
    const from = this.#height()
    const isTogether = () => Math.min(...this.#nodes.map(heightOf)) > from + 3
    await world.run(LOAD_MS + HEAL_MS, isTogether)
    if (!isTogether()) this.#violations.push(`the chain stands at ${this.#height()}`)
    const report = this.#judge(world.violations.map((violation) => JSON.stringify(violation)))
    for (const node of this.#nodes) node.crash()
    return report
  }

  #height(): number {
    return Math.max(...this.#nodes.map(heightOf))
  }

  #every(meanMs: number, label: string, act: () => void): void {
    this.#world.at(this.#chance.untilNext(meanMs), label, () => {
      if (this.#isHealing) return
      act()
      this.#every(meanMs, label, act)
    })
  }

  #crash(): void {
    const node = this.#chance.pick(this.#nodes)
    if (node === undefined || this.#nodes.some(({ alive }) => !alive)) return
    node.crash()
    this.#world.at(DOWN_MS, 'start again', () => node.start())
  }

  /** By any node, of what its ledger knows; sometimes the last one again. */
  #change(): void {
    const node = this.#chance.pick(this.#nodes.filter(({ alive }) => alive))
    const ledger = node?.tree?.live.head?.head.ledger
    if (node?.tree === undefined || ledger === undefined) return
    const change = this.#nextChange(ledger)
    const payload = { change: approvedChange(this.#federation, change) }
    const times = this.#chance.happens(0.3) ? 2 : 1
    for (let count = 0; count < times; count++) {
      void node.tree.system.ask<SubmitValidatorChange>(
        'chain',
        { type: 'chain.SubmitValidatorChange', payload },
        { timeoutMs: 2_000, sender: 'api' },
      )
    }
  }

  #nextChange(ledger: Ledger): ValidatorChange {
    const { genesis, validators } = this.#federation
    const set = latestValidators(ledger)
    const signer = validators[this.#chance.between(0, validators.length - 1)]
    if (signer === undefined) throw new Error('no validator')
    const entry = genesis.validators.find(({ blsKey }) => equalBytes(blsKey, signer.publicKey))
    const present = set.find(({ blsKey }) => equalBytes(blsKey, signer.publicKey))
    const address = entry?.address ?? new Uint8Array(20)
    const base = { sequence: nextSequence(ledger), blsKey: signer.publicKey }
    const none = new Uint8Array(96)
    if (present === undefined) {
      return { ...base, power: 1, address, proofOfPossession: provePossession(signer) }
    }
    if (present.power === 1 && set.length > 3 && this.#chance.happens(0.6)) {
      return { ...base, power: 0, address: new Uint8Array(20), proofOfPossession: none }
    }
    const power = present.power === 1 ? 2 : 1
    return { ...base, power, address, proofOfPossession: none }
  }

  #judge(violations: readonly string[]): ValidatorWorldReport {
    const { genesis } = this.#federation
    const found = [...violations, ...this.#violations]
    const ledgers = this.#nodes.flatMap((node) => node.tree?.live.head?.head.ledger ?? [])
    const [first] = ledgers
    if (first === undefined) throw new Error('no node runs')
    const lowest = Math.min(...ledgers.map(({ state }) => state.height))
    const sizes = new Set<number>()
    const powers = new Set<number>()
    let trusted = trustGenesis(genesis)
    for (let height = 1; height <= lowest; height++) {
      const set = validatorsAt(first, height)
      sizes.add(set.length)
      for (const { power } of set) powers.add(power)
      const hash = validatorsHash(genesis, set)
      for (const ledger of ledgers) {
        const other = validatorsHash(genesis, validatorsAt(ledger, height))
        if (!equalBytes(hash, other)) found.push(`two sets of height ${height}`)
      }
      const committed = this.#chain.get(height)
      if (committed === undefined) continue
      const { block, certificate } = committed
      if (!equalBytes(block.header.validatorsHash, hash)) {
        found.push(`header ${height} names another set`)
      }
      const { signatures } = genesis
      const verdict = verifyCertificate(signatures, genesis.hash, 'commit', set, certificate)
      if (verdict.kind !== 'valid') found.push(`certificate ${height}: ${verdict.code}`)
      const followed = followHeader(
        genesis,
        trusted,
        certifiedHeader(block.header, certificate, first),
      )
      if (followed.ok) trusted = followed.value
      else found.push(`a light client stops at ${height}: ${followed.error.code}`)
    }
    const decided = [...this.#chain.values()].filter(
      ({ block }) => block.body.validatorChanges.length > 0,
    )
    const order = (left: number, right: number) => left - right
    return {
      seed: this.#world.seed,
      violations: found,
      height: lowest,
      decided: decided.length,
      sizes: [...sizes].sort(order),
      powers: [...powers].sort(order),
    }
  }
}

function heightOf(node: SimulatedNode): number {
  return node.tree?.live.head?.head.header.height ?? -1
}

if (import.meta.main) {
  const from = Number(process.argv[2] ?? 1)
  const count = Number(process.argv[3] ?? 5)
  let bad = 0
  for (let seed = from; seed < from + count; seed++) {
    const report = await new ValidatorWorld(seed).run()
    if (report.violations.length > 0) bad += 1
    process.stdout.write(`${JSON.stringify(report)}\n`)
  }
  process.exitCode = bad > 0 ? 1 : 0
}
