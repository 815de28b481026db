import type { OperationNode, RootOperationNode } from 'kysely'
import { readsOnly } from '../sql/reads-only.ts'

type Names = Set<string>

/**
 * The tables that a query writes, as Drizzle names them (`table`, `schema.table`). `all` if its nodes
 * do not name them; nothing for a query that only reads.
 */
export function writtenTables(root: RootOperationNode): readonly string[] | 'all' | undefined {
  const names: Names = new Set()
  if (!collect(root, names)) return 'all'
  return names.size === 0 ? undefined : [...names]
}

/** Returns false if a node may write a table that it does not name. */
function collect(node: OperationNode, names: Names): boolean {
  const parts = node as unknown as Record<string, unknown>
  switch (node.kind) {
    case 'SelectQueryNode':
      return collectCommonTables(parts, names)
    case 'InsertQueryNode':
    case 'MergeQueryNode':
      return collectCommonTables(parts, names) && addTable(parts['into'], names)
    case 'UpdateQueryNode':
      return collectCommonTables(parts, names) && addTable(parts['table'], names)
    case 'DeleteQueryNode': {
      const { froms } = parts['from'] as { froms: readonly unknown[] }
      return collectCommonTables(parts, names) && froms.every((from) => addTable(from, names))
    }
    case 'RawNode':
      return readsOnly((parts['sqlFragments'] as readonly string[])[0] ?? '')
    default:
      return false
  }
}

/** `with changed as (insert …) select …` writes too. */
function collectCommonTables(parts: Record<string, unknown>, names: Names): boolean {
  const { expressions } = (parts['with'] ?? { expressions: [] }) as {
    expressions: readonly { expression: OperationNode }[]
  }
  return expressions.every(({ expression }) => collect(expression, names))
}

function addTable(node: unknown, names: Names): boolean {
  const { kind } = node as OperationNode
  if (kind === 'AliasNode') return addTable((node as { node: unknown }).node, names)
  if (kind !== 'TableNode') return false
  const { table } = node as {
    table: { schema?: { name: string }; identifier: { name: string } }
  }
  const { schema, identifier } = table
  names.add(schema === undefined ? identifier.name : `${schema.name}.${identifier.name}`)
  return true
}
