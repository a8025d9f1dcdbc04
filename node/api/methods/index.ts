/** All methods by name. A name that is not here answers -32601. */
import { z } from 'zod'
import type { ApiLimits } from '../limits.ts'
import { type MethodTable, method } from '../method.ts'
import { CHAIN_METHODS } from './chain.ts'
import { DEBUG_METHODS } from './debug.ts'
import { GENERAL_METHODS } from './general.ts'
import { HISTORY_METHODS } from './history.ts'
import { logMethods } from './logs.ts'
import { MILLRACE_METHODS } from './millrace.ts'
import { STATE_METHODS } from './state.ts'
import { subscribeMethods } from './subscribe.ts'

export function createMethods(limits: ApiLimits): MethodTable {
  const table: MethodTable = {
    ...CHAIN_METHODS,
    ...STATE_METHODS,
    ...DEBUG_METHODS,
    ...logMethods(limits),
    ...subscribeMethods(limits),
    ...GENERAL_METHODS,
    ...MILLRACE_METHODS,
    ...HISTORY_METHODS,
  }
  const prefixes = Object.keys(table).flatMap((name) => {
    const at = name.indexOf('_')
    return at < 0 || name.startsWith('admin_') ? [] : [name.slice(0, at)]
  })
  const modules = Object.fromEntries([...new Set(prefixes), 'rpc'].map((name) => [name, '1.0']))
  return { ...table, rpc_modules: method('light', z.tuple([]), () => modules) }
}
