/** `millrace recover` from rows to coins, on the development Bitcoin and, where BITCOIND names a binary, on Bitcoin Core. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { outputOf, type ReserveOutput } from '../../bridge/index.ts'
import { addressFromScript } from '../../core/bitcoin/index.ts'
import { federationKey } from '../../core/peg/index.ts'
import { schnorrPublicKey, sealKeyFile, toHex } from '../../crypto/index.ts'
import { startBitcoinRegtest } from '../../devnet/bitcoin/index.ts'
import { DevelopmentWallet, developmentKey } from '../../devnet/wallet.ts'
import { main } from '../../governance/recover/index.ts'
import { type BitcoinRpc, createBitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import {
  CSV_BLOCKS,
  epochKey,
  memberSecrets,
  outputs,
  recoveryGenesis,
  recoverySecrets,
} from '../unit/bridge/recovery-world.ts'
import { p2wpkh, seeded } from '../unit/core/peg/world.ts'
import { type Backend, startCore } from './bitcoin-core.ts'

const genesis = recoveryGenesis()
const AMOUNT_SAT = 20_000_000n
const vault = addressFromScript(p2wpkh('vault'), 'regtest') as string

async function startEmbedded(): Promise<Backend> {
  const credentials = { user: 'user', password: 'password' }
  const ports = { port: 0, host: '127.0.0.1', now: () => Date.now(), log: () => {} }
  const started = await startBitcoinRegtest({ ...ports, ...credentials })
  if (!started.ok) throw new Error(started.error.code)
  return started.value
}

interface Figures {
  readonly inputs: readonly { readonly outpoint: string }[]
  readonly notes: readonly string[]
}

interface Ran {
  readonly code: number
  readonly figures: Record<string, unknown>
}

/** A command in this process; what it says as JSON. */
async function recover(...args: readonly string[]): Promise<Ran> {
  let said = ''
  const spy = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said += String(text)
    return true
  })
  try {
    const code = await main([...args, '--json'])
    return { code, figures: JSON.parse(said) as Record<string, unknown> }
  } finally {
    spy.mockRestore()
  }
}

function suite(name: string, start: () => Promise<Backend>): void {
  describe(`coins of the reserve, recovered on ${name}`, () => {
    let directory: string
    let backend: Backend
    let rpc: BitcoinRpc
    let wallet: DevelopmentWallet
    const at = (file: string) => join(directory, file)
    const mine = async (blocks: number) => {
      const mined = await rpc.generateToAddress(blocks, wallet.address)
      if (!mined.ok) throw new Error(mined.error.message)
    }

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'millrace-recover-'))
      backend = await start()
      rpc = createBitcoinRpc({ url: backend.url, timeoutMs: 20_000 })
      wallet = new DevelopmentWallet(rpc, developmentKey('recover'))
      await mine(104)
      writeFileSync(at('genesis.json'), JSON.stringify(genesis.file))
      writeFileSync(at('password'), 'password of a holder\n')
      for (const [index, secret] of memberSecrets.entries()) writeKey(`member-${index}`, secret)
      for (const [index, secret] of recoverySecrets.entries()) writeKey(`cold-${index}`, secret)
    })
    afterAll(async () => {
      rpc.close()
      await backend.stop()
      rmSync(directory, { recursive: true, force: true })
    })

    function writeKey(label: string, schnorr: Uint8Array): void {
      const random = (length: number) => seeded(`${label} ${length}`).slice(0, length)
      const file = sealKeyFile({
        label,
        publicKeys: { schnorr: schnorrPublicKey(schnorr) },
        secrets: { schnorr },
        password: 'password of a holder',
        random,
        cost: { n: 2, r: 1, p: 1 },
      })
      writeFileSync(at(`${label}.json`), JSON.stringify(file))
    }

    /** Outputs of every form on the chain, and the file of rows that names them. */
    async function fund(rows: string): Promise<void> {
      const made = outputs.map((output) => {
        const key = output.epoch === 0 ? federationKey(genesis, 0) : epochKey.publicKey
        return { scriptPubKey: outputOf(genesis, output, key).scriptPubKey, amountSat: AMOUNT_SAT }
      })
      const txid = await wallet.pay(made)
      await mine(1)
      const row = ({ deposit, epoch }: ReserveOutput, vout: number) => ({
        outpoint: `${txid}:${vout}`,
        amountSat: String(AMOUNT_SAT),
        epoch,
        ...(deposit && {
          evmAddress: toHex(deposit.evmAddress),
          refundScript: toHex(deposit.refundScript),
        }),
      })
      const { commitments, publicKey, sessionId, ...rest } = epochKey
      const key = {
        ...rest,
        publicKey: toHex(publicKey),
        commitments: commitments.map(toHex),
        sessionId: toHex(sessionId),
      }
      const file = { version: 1, genesis: toHex(genesis.hash), height: 1, keys: [key] }
      writeFileSync(at(rows), JSON.stringify({ ...file, outputs: outputs.map(row) }))
    }

    const plan = (leaf: string, rows: string, out: string, ...more: readonly string[]) =>
      recover(
        ...['plan', '--genesis', at('genesis.json'), '--rows', at(rows), '--leaf', leaf],
        ...['--to', vault, '--fee-rate', '2.5', '--out', at(out), ...more],
      )
    const sign = (psbt: string, holder: string, out: string) =>
      recover(
        ...['sign', '--genesis', at('genesis.json'), '--psbt', at(psbt), '--out', at(out)],
        ...['--keys', at(`${holder}.json`), '--password-file', at('password'), '--yes'],
      )
    const finish = (psbts: readonly string[], ...more: readonly string[]) =>
      recover(
        ...['finish', '--genesis', at('genesis.json'), '--bitcoin', backend.url, ...more],
        ...psbts.flatMap((psbt) => ['--psbt', at(psbt)]),
      )
    const vaultSat = async (txid: unknown): Promise<bigint | undefined> => {
      const found = await rpc.getTxOut(String(txid), 0)
      return found.ok ? found.value?.amountSat : undefined
    }

    it('leaf A: three of four members sign on their own, and Bitcoin confirms it (PO-19)', async () => {
      await fund('rows-a.json')
      const planned = await plan('members', 'rows-a.json', 'a.psbt', '--bitcoin', backend.url)
      expect(planned).toMatchObject({ code: 0, figures: { leaf: 'members', threshold: 3 } })
      for (const holder of [0, 2, 3]) {
        const signed = await sign('a.psbt', `member-${holder}`, `a-${holder}.psbt`)
        expect(signed.figures['signer']).toBe(`member ${holder}`)
      }
      const few = await finish(['a-0.psbt', 'a-2.psbt'])
      expect(few).toMatchObject({ code: 4, figures: { error: { code: 'SignaturesMissing' } } })
      const done = await finish(['a-0.psbt', 'a-2.psbt', 'a-3.psbt'], '--send')
      expect(done.code).toBe(0)
      await mine(1)
      const { feeSat } = planned.figures as { feeSat: string }
      expect(await vaultSat(done.figures['txid'])).toBe(4n * AMOUNT_SAT - BigInt(feeSat))
      // What is spent cannot be planned again.
      const again = await plan('members', 'rows-a.json', 'again.psbt', '--bitcoin', backend.url)
      expect(again.figures).toMatchObject({ error: { code: 'NothingToSpend' } })
    })

    it('leaf B: two of three cold keys sign, and Bitcoin takes it only after the delay (PO-22)', async () => {
      await fund('rows-b.json')
      const early = await plan('recovery', 'rows-b.json', 'none.psbt', '--bitcoin', backend.url)
      expect(early.figures).toMatchObject({ error: { code: 'NothingToSpend' } })
      expect((await plan('recovery', 'rows-b.json', 'b.psbt')).code).toBe(0)
      // The copy of one holder goes to the next.
      expect((await sign('b.psbt', 'cold-2', 'b-2.psbt')).code).toBe(0)
      expect((await sign('b-2.psbt', 'cold-0', 'b-20.psbt')).code).toBe(0)
      const stranger = await sign('b.psbt', 'member-0', 'b-m.psbt')
      expect(stranger).toMatchObject({ code: 4, figures: { error: { code: 'KeyNotInLeaf' } } })
      await mine(CSV_BLOCKS - 2)
      const refused = await finish(['b-20.psbt'])
      expect(refused.figures).toEqual({
        error: { code: 'BitcoinRefused', message: 'non-BIP68-final' },
      })
      await mine(1)
      const ready = await plan('recovery', 'rows-b.json', 'ready.psbt', '--bitcoin', backend.url)
      expect(ready.figures).toMatchObject({ notes: [], delayBlocks: CSV_BLOCKS })
      const done = await finish(['b-20.psbt'], '--send')
      expect(done.code).toBe(0)
      await mine(1)
      expect(await vaultSat(done.figures['txid'])).toBeGreaterThan(4n * AMOUNT_SAT - 10_000n)
    })

    it('what an open batch holds is left out and named, and taken when somebody says so (PO-10)', async () => {
      const { outputs: rows, ...file } = JSON.parse(readFileSync(at('rows-b.json'), 'utf8'))
      const batchId = 'ab'.repeat(32)
      const write = (name: string, held: number) => {
        const some = rows.map((row: object, index: number) => {
          return index < held ? { ...row, batchId } : row
        })
        writeFileSync(at(name), JSON.stringify({ ...file, outputs: some }))
      }
      write('rows-held.json', 1)
      const name: string = rows[0].outpoint
      const free = await plan('members', 'rows-held.json', 'free.psbt')
      const { inputs, notes } = free.figures as unknown as Figures
      expect(inputs.map(({ outpoint }) => outpoint)).toEqual(
        rows.slice(1).map((row: { outpoint: string }) => row.outpoint),
      )
      expect(notes[0]).toBe(
        `left out: ${name} (${AMOUNT_SAT} sat): batch ${batchId} may spend it; --held takes it`,
      )
      const all = await plan('members', 'rows-held.json', 'all.psbt', '--held')
      expect((all.figures as unknown as Figures).inputs).toHaveLength(4)
      expect((all.figures as unknown as Figures).notes[0]).toMatch(`held, and taken: ${name}`)
      const named = await plan('members', 'rows-held.json', 'named.psbt', '--output', name)
      expect(named).toMatchObject({ code: 2, figures: { error: { code: 'Usage' } } })
      write('rows-all-held.json', 4)
      const none = await plan('members', 'rows-all-held.json', 'none.psbt')
      expect(none.figures).toMatchObject({
        error: {
          code: 'NothingToSpend',
          message: expect.stringMatching(`${name}.*--held takes it`),
        },
      })
    })

    it('no file of one step holds a secret, and none is overwritten', async () => {
      const secrets = [...memberSecrets, ...recoverySecrets].map(toHex)
      for (const name of readdirSync(directory)) {
        const text = readFileSync(at(name), 'utf8')
        const bytes = Buffer.from(text, 'base64').toString('hex')
        expect(secrets.filter((secret) => text.includes(secret) || bytes.includes(secret))).toEqual(
          [],
        )
      }
      const before = readFileSync(at('b.psbt'), 'utf8')
      const again = await plan('recovery', 'rows-b.json', 'b.psbt')
      expect(again.figures).toMatchObject({ error: { code: 'FileNotWritten' } })
      expect(readFileSync(at('b.psbt'), 'utf8')).toBe(before)
    })
  })
}

suite('the development Bitcoin', startEmbedded)

const binary = process.env['BITCOIND']
if (binary === undefined) {
  describe('coins of the reserve, recovered on Bitcoin Core', () => {
    it.skip('from rows to coins (BITCOIND names no binary)', () => {})
  })
} else {
  suite('Bitcoin Core', () => startCore(binary))
}
