/**
 * Developers' tools, unmodified, against the network that `npm start` brings: Foundry's forge and cast, and Hardhat. What cast answers is
 * compared with what it answers of anvil for the same transactions.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { developmentAccounts } from '../../devnet/launcher/accounts.ts'
import { until } from '../../devnet/launcher/rpc.ts'
import { findPort } from '../../node/adapters/system/index.ts'
import { Program, testDirectory } from './program.ts'
import {
  FOUNDRY,
  fetchTools,
  HARDHAT,
  itWith,
  type Ran,
  runTool,
  type Tools,
  toolSays,
  writeSolc,
} from './tools.ts'

const START_MS = 300_000
const TEST_MS = 300_000
const CHAIN_ID = 262_144

const foundry = fetchTools(FOUNDRY)
const hardhat = fetchTools(HARDHAT)
const directory = testDirectory('developers')
const [deployer, tester, user, nobody] = developmentAccounts() as [
  Account,
  Account,
  Account,
  Account,
]
type Account = ReturnType<typeof developmentAccounts>[number]

const CONTRACT = `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;
contract Counter {
    uint256 public number;
    mapping(address => uint256) public counts;
    event Counted(address indexed by, uint256 number);
    error TooHigh(uint256 number, uint256 most);
    constructor(uint256 start) { number = start; }
    function increment() external payable {
        number += 1;
        counts[msg.sender] += 1;
        emit Counted(msg.sender, number);
    }
    function set(uint256 to) external {
        if (to > 100) revert TooHigh(to, 100);
        require(to != 13, "unlucky");
        number = to;
    }
}
`

const FORGE_TEST = `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;
import {Counter} from "../src/Counter.sol";
contract CounterTest {
    Counter counter;
    function setUp() public { counter = new Counter(5); }
    function test_increment() public { counter.increment(); require(counter.number() == 6, "six"); }
    function testFuzz_set(uint8 to) public {
        if (to > 100 || to == 13) return;
        counter.set(to);
        require(counter.number() == to, "set");
    }
    function test_bridge() public view {
        require(address(0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB).code.length > 0, "no bridge");
    }
}
`

const FORGE_SCRIPT = `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;
import {Counter} from "../src/Counter.sol";
interface Vm { function startBroadcast() external; function stopBroadcast() external; }
contract Deploy {
    Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    function run() external {
        vm.startBroadcast();
        Counter counter = new Counter(7);
        counter.increment();
        counter.set(42);
        vm.stopBroadcast();
    }
}
`

const HARDHAT_TEST = `import assert from 'node:assert/strict'
import { it } from 'node:test'
import { network } from 'hardhat'
const { viem } = await network.create()
it('deploys, writes, reads, hears and is refused', async () => {
  const reader = await viem.getPublicClient()
  const [wallet] = await viem.getWalletClients()
  const counter = await viem.deployContract('Counter', [5n])
  const hash = await counter.write.increment()
  const receipt = await reader.waitForTransactionReceipt({ hash })
  assert.equal(receipt.status, 'success')
  assert.equal(await counter.read.number(), 6n)
  assert.equal(await counter.read.counts([wallet.account.address]), 1n)
  const events = await counter.getEvents.Counted({}, { fromBlock: 0n })
  assert.equal(events.length, 1)
  await assert.rejects(counter.write.set([101n]), /TooHigh/)
  await assert.rejects(counter.write.set([13n]), /unlucky/)
})
`

let node: Program
let url = ''
let anvil: ChildProcess | undefined
let anvilUrl = ''

async function port(from: number): Promise<number> {
  const found = await findPort({ host: '127.0.0.1', port: from }, { fallback: true })
  if (!found.ok) throw new Error('no free port')
  return found.value
}

beforeAll(async () => {
  if (foundry === undefined && hardhat === undefined) return
  const rpcPort = await port(21_400)
  url = `http://127.0.0.1:${rpcPort}`
  const data = join(directory.path, 'data')
  const small = ['--nodes', '1', '--members', '1', '--rpc-port', `${rpcPort}`, '--data-dir', data]
  node = new Program(['dev', ...small])
  await node.says(/Ctrl-C stops everything/)
}, START_MS)

afterAll(async () => {
  anvil?.kill('SIGKILL')
  node?.child.kill('SIGTERM')
  await node?.exited
  directory.clean()
}, START_MS)

function foundryProject(): string {
  const path = join(directory.path, 'foundry')
  for (const part of ['src', 'test', 'script']) mkdirSync(join(path, part), { recursive: true })
  writeFileSync(join(path, 'src', 'Counter.sol'), CONTRACT)
  writeFileSync(join(path, 'test', 'Counter.t.sol'), FORGE_TEST)
  writeFileSync(join(path, 'script', 'Deploy.s.sol'), FORGE_SCRIPT)
  const solc = writeSolc(path)
  writeFileSync(
    join(path, 'foundry.toml'),
    `[profile.default]\nsolc = "${solc}"\noffline = true\nevm_version = "osaka"\n`,
  )
  return path
}

describe('Foundry', () => {
  const it = itWith(foundry, 'Foundry')
  const tools = foundry as Tools
  let cwd = ''
  beforeAll(() => {
    if (foundry !== undefined) cwd = foundryProject()
  })

  it(
    'forge test runs on a fork of the chain',
    async () => {
      const said = await toolSays(tools, 'forge', ['test', '--fork-url', url], { cwd })
      expect(said).toContain('3 passed; 0 failed')
    },
    TEST_MS,
  )

  it(
    'forge create and forge script deploy, and what they sent is in blocks',
    async () => {
      const keys = ['--rpc-url', url, '--private-key', deployer.privateKey, '--broadcast']
      const create = ['create', 'src/Counter.sol:Counter', ...keys, '--constructor-args', '5']
      const [address] =
        /(?<=Deployed to: )\S+/.exec(await toolSays(tools, 'forge', create, { cwd })) ?? []
      const read = ['call', '--rpc-url', url, address as string, 'number()(uint256)']
      expect(await toolSays(tools, 'cast', read)).toBe('5')
      const script = ['script', 'script/Deploy.s.sol:Deploy', ...keys]
      expect(await toolSays(tools, 'forge', script, { cwd })).toContain(
        'ONCHAIN EXECUTION COMPLETE & SUCCESSFUL',
      )
    },
    TEST_MS,
  )

  it(
    'cast says of this chain what it says of anvil',
    async () => {
      const anvilPort = await port(21_500)
      anvilUrl = `http://127.0.0.1:${anvilPort}`
      const program = join(tools.directory, 'node_modules', '.bin', 'anvil')
      const flags = ['--port', `${anvilPort}`, '--chain-id', `${CHAIN_ID}`, '--silent']
      anvil = spawn(program, flags, { stdio: 'ignore' })
      await until('anvil', TEST_MS, async () => {
        const { code } = await runTool(tools, 'cast', ['chain-id', '--rpc-url', anvilUrl])
        return code === 0 ? true : undefined
      })
      const [ours, theirs] = [await castAnswers(url), await castAnswers(anvilUrl)]
      expect(Object.keys(ours).length).toBeGreaterThan(25)
      expect(ours).toEqual(theirs)
    },
    2 * TEST_MS,
  )

  /** The same transactions by the same sender, and then everything that does not depend on the chain's own past. */
  async function castAnswers(rpc: string): Promise<Record<string, string>> {
    const env = { ETH_RPC_URL: rpc }
    const cast = (...args: string[]) => runTool(tools, 'cast', args, { cwd, env })
    const create = ['create', 'src/Counter.sol:Counter', '--rpc-url', rpc, '--broadcast']
    const key = ['--private-key', user.privateKey]
    const deployed = await toolSays(
      tools,
      'forge',
      [...create, ...key, '--constructor-args', '5'],
      { cwd },
    )
    const [at] = /(?<=Deployed to: )\S+/.exec(deployed) as RegExpExecArray
    const counter = at as string
    const sent = await toolSays(
      tools,
      'cast',
      ['send', ...key, '--json', counter, 'increment()', '--value', '1'],
      { env },
    )
    const receipt = JSON.parse(sent) as Record<string, string>
    const hash = receipt['transactionHash'] as string
    const artifact = ['inspect', 'Counter', 'bytecode']
    const code = await toolSays(tools, 'forge', artifact, { cwd })
    const questions: Record<string, string[]> = {
      call: ['call', counter, 'number()(uint256)'],
      mapping: ['call', counter, 'counts(address)(uint256)', user.address],
      revertCustom: ['call', counter, 'set(uint256)', '101'],
      revertText: ['call', counter, 'set(uint256)', '13'],
      revertEmpty: ['call', counter, 'nothing()'],
      sendReverting: ['send', ...key, counter, 'set(uint256)', '101'],
      callWithoutCode: ['call', nobody.address, 'number()'],
      override: [
        'call',
        counter,
        'number()(uint256)',
        '--override-state-diff',
        `${counter}:0x0:0x2a`,
      ],
      estimate: ['estimate', counter, 'increment()', '--from', user.address],
      estimateTransfer: ['estimate', nobody.address, '--value', '1', '--from', user.address],
      estimateCreation: [
        'estimate',
        '--from',
        user.address,
        '--create',
        `${code}${'5'.padStart(64, '0')}`,
      ],
      accessList: ['access-list', counter, 'increment()', '--from', user.address],
      nonce: ['nonce', user.address],
      nonceOfNobody: ['nonce', '0x00000000000000000000000000000000000000ee'],
      balanceOfCounter: ['balance', counter],
      balanceOfNobody: ['balance', '0x00000000000000000000000000000000000000ee'],
      code: ['code', counter],
      codeOfNobody: ['code', '0x00000000000000000000000000000000000000ee'],
      codeSize: ['codesize', counter],
      codeHash: ['codehash', counter],
      storage: ['storage', counter, '0'],
      emptyStorage: ['storage', counter, '77'],
      storageRoot: ['storage-root', counter],
      chainId: ['chain-id'],
      run: ['run', hash],
      input: ['tx', hash, 'input'],
      from: ['tx', hash, 'from'],
      status: ['receipt', hash, 'status'],
      gasUsed: ['receipt', hash, 'gasUsed'],
      bloom: ['receipt', hash, 'logsBloom'],
      pool: ['tx-pool', 'status'],
      syncing: ['rpc', 'eth_syncing'],
      accounts: ['rpc', 'eth_getUncleCountByBlockNumber', 'latest'],
      missingTransaction: ['rpc', 'eth_getTransactionByHash', `0x${'11'.repeat(32)}`],
      missingReceipt: ['rpc', 'eth_getTransactionReceipt', `0x${'11'.repeat(32)}`],
      missingBlock: ['rpc', 'eth_getBlockByNumber', '0xffffff', 'false'],
    }
    const answers: Record<string, string> = { address: counter }
    for (const [name, question] of Object.entries(questions)) {
      answers[name] = essence(await cast(...question))
    }
    const proof = JSON.parse(await toolSays(tools, 'cast', ['proof', counter, '0'], { env }))
    answers['proof'] = JSON.stringify([proof.codeHash, proof.storageHash, proof.storageProof])
    const logs = await toolSays(
      tools,
      'cast',
      ['logs', '--json', '--from-block', '0', '--address', counter],
      { env },
    )
    const rows = JSON.parse(logs) as { data: string; topics: string[]; logIndex: string }[]
    answers['logs'] = JSON.stringify(
      rows.map(({ data, topics, logIndex }) => [data, topics, logIndex]),
    )
    const trace = ['rpc', 'debug_traceTransaction', hash, '{"tracer":"callTracer"}']
    const { type, from, to, input, gasUsed } = JSON.parse(
      await toolSays(tools, 'cast', trace, { env }),
    )
    answers['trace'] = JSON.stringify({ type, from, to, input, gasUsed })
    return answers
  }
})

/** What matters of an answer: the exit code, and the words without anvil's own naming of custom errors. */
function essence({ code, stdout, stderr }: Ran): string {
  const words = `${stdout}${stderr}`.replace(/: custom error 0x[0-9a-f]{8}(: ?[^,]*)?/, '')
  return `${code} ${words.trim()}`
}

describe('Hardhat', () => {
  const it = itWith(hardhat, 'Hardhat')

  it(
    'compiles a project, deploys it and runs its tests on the network',
    async () => {
      const tools = hardhat as Tools
      const project = join(tools.directory, `project-${process.pid}`)
      for (const part of ['contracts', 'test']) mkdirSync(join(project, part), { recursive: true })
      writeFileSync(join(project, 'package.json'), '{"type":"module","private":true}')
      writeFileSync(join(project, 'contracts', 'Counter.sol'), CONTRACT)
      writeFileSync(join(project, 'test', 'Counter.ts'), HARDHAT_TEST)
      const solc = new URL('../../node_modules/solc/soljson.js', import.meta.url)
      const soljson = fileURLToPath(solc)
      const network = { type: 'http', url, accounts: [tester.privateKey] }
      writeFileSync(
        join(project, 'hardhat.config.ts'),
        `import nodeTestRunner from '@nomicfoundation/hardhat-node-test-runner'
import hardhatViem from '@nomicfoundation/hardhat-viem'
export default {
  plugins: [nodeTestRunner, hardhatViem],
  solidity: { version: '0.8.37', path: ${JSON.stringify(soljson)} },
  networks: { millrace: ${JSON.stringify(network)} },
}
`,
      )
      const env = { HARDHAT_DISABLE_TELEMETRY_PROMPT: 'true', CI: 'true' }
      const args = ['test', 'nodejs', '--network', 'millrace']
      const ran = runTool(tools, 'hardhat', args, { cwd: project, env })
      const { code, stdout, stderr } = await ran.finally(() =>
        rmSync(project, { recursive: true, force: true }),
      )
      expect([code, code === 0 ? '' : `${stdout}${stderr}`]).toEqual([0, ''])
      expect(stdout).toContain('1 passing')
    },
    TEST_MS,
  )
})
