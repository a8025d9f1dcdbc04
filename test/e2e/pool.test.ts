/** What a node's pool holds over kills of the process (MP-7), through JSON-RPC alone. */
import { appendFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Wallet } from 'ethers'
import { until } from '../../devnet/launcher/rpc.ts'
import { PATIENCE_MS, TestFederation } from './federation.ts'
import { minted, payDeposit } from './user.ts'

const PATIENCE = 600_000
const ROUNDS = 4
/** What a kill in the middle of a write leaves: a piece of a header, or a record of 100 bytes without its end. */
const TORN = [Uint8Array.of(100, 0, 0), Uint8Array.of(100, 0, 0, 0, ...new Array(12).fill(7), 2)]
const TARGET = `0x${'00'.repeat(18)}aa01`

let federation: TestFederation

beforeAll(async () => {
  federation = await TestFederation.start({ nodes: 1, members: 1 })
}, PATIENCE)
afterAll(() => federation?.stop(), PATIENCE)

interface Found {
  readonly blockNumber: string | null
}

/** The newest file of the journal. */
function journal(): string {
  const directory = join(federation.files.nodeDirectory(0), 'data', 'pool')
  const generations = readdirSync(directory).map((name) => Number.parseInt(name, 10))
  return join(directory, `${Math.max(...generations)}.log`)
}

it(
  'MP-7: what was acknowledged is in the pool or in a block after kill -9, though the last record is torn',
  async () => {
    const { rpc } = federation
    const user = Wallet.createRandom()
    const chainId = Number(await rpc.call<string>('eth_chainId'))
    await minted(rpc, await payDeposit(federation, user.address, 1_000_000n))
    const sign = (nonce: number) =>
      user.signTransaction({
        type: 2,
        chainId,
        nonce,
        to: TARGET,
        value: 1n,
        gasLimit: 21_000n,
        maxFeePerGas: 20_000_000_000n,
        maxPriorityFeePerGas: 1_000_000_000n,
      })
    // The first nonce is left out: what comes after it waits.
    const acknowledged: string[] = []
    for (let round = 0; round < ROUNDS; round++) {
      for (let at = 0; at < 3; at++) {
        const raw = await sign(1 + acknowledged.length)
        acknowledged.push(await rpc.call<string>('eth_sendRawTransaction', [raw]))
      }
      await federation.kill('node', 0)
      appendFileSync(journal(), TORN[round % TORN.length] as Uint8Array)
      federation.startNode(0)
      await federation.answers(0)
      for (const hash of acknowledged) {
        const found = await until('the pool', PATIENCE_MS, () =>
          rpc.call<Found | null>('eth_getTransactionByHash', [hash]),
        )
        expect(found).toMatchObject({ hash, blockNumber: null })
      }
    }
    await rpc.call('eth_sendRawTransaction', [await sign(0)])
    for (const hash of acknowledged) {
      const receipt = await until('its block', PATIENCE_MS, async () => {
        const found = await rpc.call<{ status: string } | null>('eth_getTransactionReceipt', [hash])
        return found ?? undefined
      })
      expect(receipt.status).toBe('0x1')
    }
    expect(await rpc.call('eth_getBalance', [TARGET, 'latest'])).toBe(
      `0x${(acknowledged.length + 1).toString(16)}`,
    )
  },
  PATIENCE,
)
