import { type BridgeRun, perform } from '../../../../actors/bridge/effects.ts'
import type { BitcoinPort } from '../../../../actors/bridge/index.ts'
import { MAX_QUESTIONS } from '../../../../actors/bridge/limits.ts'
import { envelopeOf } from '../fake-run.ts'

const hashes = Array.from({ length: 20 }, (_, index) => new Uint8Array(32).fill(index + 1))

/** Asks about blocks of which some are not known; counts what is asked at once. */
async function check(blocks: readonly Uint8Array[], unknown: ReadonlySet<number> = new Set()) {
  let now = 0
  let most = 0
  let asked = 0
  const bitcoin = {
    async header(hash: Uint8Array) {
      asked += 1
      now += 1
      most = Math.max(most, now)
      await new Promise<void>((resolve) => setImmediate(resolve))
      now -= 1
      return {
        ok: true,
        value: { header: new Uint8Array(80), isBest: !unknown.has(hash[0] as number) },
      }
    },
  } as unknown as BitcoinPort
  const replyTo = envelopeOf({ type: 'bridge.ValidatePegOperations', payload: {} })
  const run = { ports: { bitcoin } } as unknown as BridgeRun
  const told = await perform({ kind: 'checkProposal', headers: [], blocks, replyTo }, run)
  const { answer } = (told as { payload: { answer: { payload: object } } }).payload
  return { most, asked, answer: answer.payload }
}

describe('the blocks that a proposal names (4.6)', () => {
  it('are asked for side by side, a bounded number at once, each of them once', async () => {
    const { answer, asked, most } = await check([...hashes, ...hashes])
    expect(answer).toEqual({ objects: false, reasons: [] })
    expect([asked, most]).toEqual([hashes.length, MAX_QUESTIONS])
  })

  it('one that is not on our best chain is an objection, wherever it stands', async () => {
    const { answer } = await check(hashes, new Set([20]))
    expect(answer).toEqual({ objects: true, reasons: ['NotOnBestChain'] })
  })

  it('none: no question and no objection', async () => {
    expect(await check([])).toMatchObject({ asked: 0, answer: { objects: false } })
  })
})
