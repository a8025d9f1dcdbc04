import { readdirSync, readFileSync } from 'node:fs'
import { MESSAGE_ROWS } from '../../../messages/index.ts'
import { createRegistry, PRIORITIES } from '../../../supervisor/index.ts'

const folder = new URL('../../../messages/', import.meta.url)
const sources = readdirSync(folder)
  .filter((file) => file.endsWith('.ts') && file !== 'registry.ts' && file !== 'index.ts')
  .map((file) => ({ family: file.slice(0, -3), text: readFileSync(new URL(file, folder), 'utf8') }))

interface Declared {
  readonly type: string
  readonly name: string
  readonly isRequest: boolean
  readonly family: string
}

/** Every `export type Name = Message<'type', …>` of the vocabulary. */
const declared = sources.flatMap(({ family, text }) =>
  [...text.matchAll(/export type (\w+) = (Message|Request)<\s*'([^']+)'/g)].map(
    ([, name = '', kind, type = '']): Declared => ({
      type,
      name,
      isRequest: kind === 'Request',
      family,
    }),
  ),
)

const rowOf = (type: string) => MESSAGE_ROWS.find((row) => row.type === type)

describe('the vocabulary and its registry', () => {
  it('every declared message has one row, and every row is declared', () => {
    expect(declared.map(({ type }) => type).sort()).toEqual(
      MESSAGE_ROWS.map(({ type }) => type).sort(),
    )
    expect(new Set(MESSAGE_ROWS.map(({ type }) => type)).size).toBe(MESSAGE_ROWS.length)
  })

  it('a message’s type ends with its name', () => {
    for (const { type, name } of declared) expect(type.split('.')[1]).toBe(name)
  })

  it('requests have a reply that is registered, and nothing else has one', () => {
    for (const { type, isRequest } of declared) {
      const reply = rowOf(type)?.reply
      expect([type, reply !== undefined]).toEqual([type, isRequest])
      if (reply !== undefined) expect([type, rowOf(reply)?.type]).toEqual([type, reply])
    }
  })

  it('the kernel takes the rows: no drop of what is never dropped, no request that is coalesced', () => {
    expect(createRegistry(MESSAGE_ROWS).rows).toHaveLength(MESSAGE_ROWS.length)
  })

  it('minting is part of the payload’s messages (seed 003, flow 2)', () => {
    const engine = sources.find(({ family }) => family === 'engine')?.text ?? ''
    expect(engine).toMatch(/export interface MintTokensRequest/)
    expect(engine).toMatch(/export interface MintResult/)
    expect(engine).toMatch(/readonly mint: MintTokensRequest/)
    expect(engine).toMatch(/readonly mint: MintResult/)
  })

  it('SU-8: what must not be lost is never dropped; of slots the latest one waits', () => {
    const kept = [
      'chain.SlotTick',
      'chain.ConsensusMessageReceived',
      'network.PropagateBlock',
      'stream.RequestFederationSignatures',
      'stream.GovernanceApprovalRequest',
      'bridge.CollectedSignatures',
      'bridge.GovernanceApproval',
      'storage.PersistBlock',
      'storage.PersistBlockBatch',
      'bridge.BurnEventDetected',
      'bridge.BitcoinTransactionDetected',
    ]
    for (const type of kept) {
      const row = rowOf(type)
      expect([type, row?.neverDrop, row?.overflow]).toEqual([type, true, 'blockProducer'])
    }
    expect(rowOf('chain.SlotTick')?.coalesce).toBe('latest')
  })

  it('SU-6, SU-7: each row has a class and a policy; gossip and the API give way first', () => {
    const policies = new Set(['dropOldest', 'dropNewest', 'blockProducer', 'returnError'])
    for (const { type, priority, overflow } of MESSAGE_ROWS) {
      expect([type, PRIORITIES.includes(priority), policies.has(overflow)]).toEqual([
        type,
        true,
        true,
      ])
    }
    for (const row of MESSAGE_ROWS.filter(({ priority }) => priority === 'gossip')) {
      expect([row.type, row.neverDrop ?? false]).toEqual([row.type, false])
    }
    const urgent = PRIORITIES.indexOf('consensus')
    for (const type of ['chain.SlotTick', 'storage.PersistBlock', 'engine.CommitPayload']) {
      expect(PRIORITIES.indexOf(rowOf(type)?.priority ?? 'api')).toBeLessThanOrEqual(urgent)
    }
  })

  it('each declaration says from whom and to whom, or what is answered', () => {
    const undocumented = sources.flatMap(({ family, text }) =>
      [
        ...text.matchAll(
          /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?export type (\w+) = (Message|Request)</g,
        ),
      ]
        .filter(([, comment, name = '']) => {
          const isReply = MESSAGE_ROWS.some(({ reply }) => reply?.endsWith(`.${name}`))
          const isOutcome =
            /Accepted|Rejected|Result|Failed|Head|Template|Loaded|Range|Written|Rows|Persisted|List|Report|Status|Processed|Batch/.test(
              name,
            )
          return !(comment?.includes('From:') || isReply || isOutcome)
        })
        .map(([, , name]) => `${family}.${name}`),
    )
    expect(undocumented).toEqual([])
  })
})
