import { Notification } from '@jupyterlab/apputils';
import { ServerConnection } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';

import { API } from '../api';
import { kernelExitNotifier } from '../notifications';

const EVENT = {
  kernelId: 'k',
  environment: 'a',
  message: 'The kernel was ended by SIGKILL.',
  hint: ''
};

/** What a notifier shows while a server gives these answers, one after another. */
async function shown(
  answers: readonly (object | null)[],
  notify: (tell: ReturnType<typeof kernelExitNotifier>) => Promise<unknown>
): Promise<readonly string[]> {
  const left = [...answers];
  const fetch: ServerConnection.ISettings['fetch'] = async () => {
    const answer = left.shift() ?? null;
    return new Response(JSON.stringify(answer), { status: answer ? 200 : 404 });
  };
  const before = Notification.manager.count;
  const tell = kernelExitNotifier({
    api: new API(ServerConnection.makeSettings({ fetch }), 'en'),
    trans: nullTranslator.load('jupyter_dlenv')
  });

  await notify(tell);

  const { count, notifications } = Notification.manager;
  return notifications.slice(0, count - before).map(item => item.message);
}

describe('kernelExitNotifier', () => {
  const first = { message: 'It ended.', hint: '', log: '', at: '2026-11-30' };

  it('tells of an end once, though the event and the notebook say it', async () => {
    const said = await shown([first, first], tell =>
      Promise.all([tell('k', EVENT), tell('k')])
    );

    expect(said).toEqual(['It ended.']);
  });

  it('tells of the next end of the same kernel', async () => {
    const said = await shown([first, { ...first, at: '2026-12-01' }], tell =>
      Promise.all([tell('k'), tell('k')])
    );

    expect(said).toHaveLength(2);
  });

  it('says what the event says, if the server knows no more', async () => {
    const said = await shown([null], tell => tell('k', EVENT));

    expect(said).toEqual([EVENT.message]);
  });

  it('says nothing of a restart that nobody has a reason for', async () => {
    expect(await shown([null], tell => tell('k'))).toEqual([]);
  });
});
