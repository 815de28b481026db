import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

const root = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

describe('the README', () => {
  const readme = read('README.md')

  test('begins with the two commands that need nothing but npm', () => {
    const [, ...lines] = readme.split('\n').filter((line) => line !== '')
    expect(lines[0]).toBe('```sh')
    expect(lines[1]).toMatch(/^npx -y pnpm@12 demo\b/)
    expect(lines[2]).toMatch(/^npx -y pnpm@12 test\b/)
  })

  test('shows first the program that runs as an example', () => {
    const [, program = ''] = /```ts\n([^]*?)```/.exec(readme) ?? []
    expect(program).toContain("import 'shared-connection/register'")
    expect(read('packages/examples/01-share-one-connection.ts')).toContain(program.trim())
  })

  test('names every option', () => {
    const settings = read('packages/bridge/src/settings.ts')
    const options = settings
      .slice(0, settings.indexOf('interface Settings'))
      .matchAll(/readonly (\w+)\?/g)
    for (const [, option = ''] of options) expect(readme).toContain(`| \`${option}\` |`)
  })
})
