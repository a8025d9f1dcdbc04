/**
 * The federation's key is handed over by the command of the guide, in processes of their own, while a deposit and a payment go on: the coins move
 * to the new key, nobody loses any, and Bitcoin holds what the books say (P 5.8; PO-19, PO-21).
 */
import { until } from '../../devnet/launcher/rpc.ts'
import { PATIENCE_MS, TestFederation } from './federation.ts'
import { guideCommands, notFollowed } from './guide.ts'
import { callForKey, keyMade, keysOf, reserveEpochs } from './keys.ts'
import { runProgram } from './program.ts'
import { Account, booked, include, minted, payDeposit, scriptOf } from './user.ts'

const START_MS = 180_000
const TEST_MS = 6 * PATIENCE_MS
const AMOUNT_SAT = 100_000_000n

let federation: TestFederation

beforeAll(async () => {
  federation = await TestFederation.start()
}, START_MS)

afterAll(async () => {
  const left = await federation?.stop()
  expect(left).toEqual([])
}, START_MS)

async function allUnder(epoch: number): Promise<void> {
  await until(`all coins under the key of epoch ${epoch}`, 4 * PATIENCE_MS, async () => {
    expect((await federation.reserves()).balanced).toBe(true)
    const epochs = await reserveEpochs(federation)
    return epochs.length === 1 && epochs[0] === epoch ? true : undefined
  })
}

async function depositAddress(evmAddress: string) {
  return federation.rpc.call<{ address: string; epoch: number; validUntil: number | null }>(
    'getdepositaddress',
    [evmAddress],
  )
}

it(
  'three of four members call for it; the coins move to the new key while users go on',
  async () => {
    await keyMade(federation, 1)
    const account = Account.random(Number(await federation.rpc.call<string>('eth_chainId')))
    await minted(federation.rpc, await payDeposit(federation, account.address, 10n * AMOUNT_SAT))
    await allUnder(1)
    const old = await depositAddress(account.address)
    expect(old).toMatchObject({ epoch: 1, validUntil: null })

    expect(await callForKey(federation, 0, 0)).toMatchObject({ code: 0 })
    expect((await keysOf(federation)).making).toMatchObject({
      stage: 'calls',
      waitingFor: [1, 2, 3],
    })
    const show = await runProgram('handover', 'show', '--url', federation.urls[0] as string)
    expect(show.stdout).toContain('epoch 2: calls, waits for 1, 2, 3')
    const paying = federation.wallet.address
    const burned = await include(federation.rpc, await account.burn(paying, AMOUNT_SAT))
    const deposited = payDeposit(federation, account.address, AMOUNT_SAT)
    expect(await callForKey(federation, 1, 1)).toMatchObject({ code: 0 })
    expect(await callForKey(federation, 3, 2)).toMatchObject({ code: 0 })
    const { keys: made } = await keyMade(federation, 2)
    expect(made.at(-1)).toMatchObject({ epoch: 2, validUntil: null })
    const last = made.at(0)?.validUntil ?? 0
    expect(last).toBeGreaterThan(52_560)

    await minted(federation.rpc, await deposited)
    await booked(federation.rpc, burned)
    // An address of the old key, given out before, is still credited, and its coin moves as well.
    const late = await federation.wallet.pay([
      { scriptPubKey: scriptOf(old.address), amountSat: AMOUNT_SAT },
    ])
    await minted(federation.rpc, `${late}:0`)
    expect(await depositAddress(account.address)).toMatchObject({ epoch: 2, validUntil: null })
    const again = await include(federation.rpc, await account.burn(paying, AMOUNT_SAT))
    await booked(federation.rpc, again)
    await until('the swept coins', 4 * PATIENCE_MS, async () => {
      const epochs = await reserveEpochs(federation)
      return epochs.includes(2) && !epochs.includes(0) ? true : undefined
    })
    const third = await callForKey(federation, 2, 0)
    expect(third.code).toBe(0)
    expect(JSON.parse(third.stdout)).toMatchObject({ epoch: 3, member: 2 })
    const commands = [show.command, third.command]
    expect(notFollowed(guideCommands('hand-over-the-key'), commands)).toEqual([])

    await federation.stopMining()
    const reserves = await federation.reserves()
    expect(reserves.balanced).toBe(true)
    expect(await federation.reserveOnBitcoin()).toBe(BigInt(reserves.reserveSat))
  },
  TEST_MS,
)
