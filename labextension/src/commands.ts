/**
 * Everything that can be done, as commands: for the palette, menus, keys and our own buttons.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import {
  type ICommandPalette,
  Notification,
  showErrorMessage
} from '@jupyterlab/apputils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { COMMANDS } from './commandIds';
import { confirmEnd, confirmRemove, pick } from './dialogs';
import { engineWords } from './engineSelect';
import { environmentIcon, launcherIcon } from './icons';
import type { IServices } from './services';
import { shellWord } from './shell';
import type { Views } from './views';
import type { IEnvironment, Status } from './wire';

interface ICommandSpec {
  readonly id: string;
  readonly label: string;
  readonly caption: string;
  /** In the menu of one environment, where its name need not be said. */
  readonly short?: string;
  /** Not for the palette: it makes sense with arguments only. */
  readonly isHidden?: boolean;
  /** Of the environment that it is for; asked for where no name is given. */
  readonly status?: readonly Status[];
  readonly execute: (
    environment: IEnvironment,
    args: ReadonlyPartialJSONObject
  ) => unknown;
}

const NOBODY: IEnvironment = {
  name: '',
  id: '',
  status: 'stopped',
  image: '',
  gpus: 0,
  gpuUuids: [],
  kernelName: '',
  engine: '',
  mounts: [],
  ports: [],
  started: '',
  exitCode: null,
  outOfMemory: false
};

export function addCommands(
  app: JupyterFrontEnd,
  services: IServices,
  views: Views,
  palette: ICommandPalette | null,
  tracker: INotebookTracker | null
): void {
  const { trans, environments } = services;
  const category = trans.__('DL environments');
  const add = (spec: ICommandSpec): void => {
    const { id, label, caption, short, status } = spec;
    app.commands.addCommand(id, {
      label: args =>
        id === COMMANDS.create && args['isLauncher']
          ? trans.__('DL environment')
          : args['isMenu'] && short
            ? short
            : label,
      caption,
      icon: args =>
        id !== COMMANDS.create || args['isPalette']
          ? undefined
          : args['isLauncher']
            ? launcherIcon
            : environmentIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            name: {
              type: 'string',
              description: trans.__('The name of the environment')
            }
          }
        }
      },
      execute: async args => {
        try {
          if (!status) {
            return await spec.execute(NOBODY, args);
          }
          const environment = await choose(spec, args);
          return environment ? await spec.execute(environment, args) : null;
        } catch (error) {
          await showErrorMessage(
            trans.__('This did not work'),
            error instanceof Error ? error : String(error)
          );
          return null;
        }
      }
    });
    if (!spec.isHidden) {
      palette?.addItem({ command: id, category, args: { isPalette: true } });
    }
  };

  async function choose(
    spec: ICommandSpec,
    args: ReadonlyPartialJSONObject
  ): Promise<IEnvironment | null> {
    const find = (name: unknown): IEnvironment | null =>
      environments.environments.find(item => item.name === name) ?? null;
    if (typeof args['name'] === 'string') {
      let found = find(args['name']);
      if (!found) {
        // A launch that has just ended may be newer than our list.
        await environments.refresh();
        found = find(args['name']);
      }
      if (!found) {
        throw new Error(trans.__('There is no environment %1.', args['name']));
      }
      return found;
    }
    const { environment } = services.current;
    if (environment && spec.status?.includes(environment.status)) {
      return environment;
    }
    const names = environments.environments
      .filter(item => spec.status?.includes(item.status))
      .map(item => item.name);
    const name = await pick(
      spec.label,
      trans.__('Environment'),
      names,
      trans.__('Choose'),
      trans
    );
    return find(name);
  }

  const { commands, serviceManager } = app;
  const { api, actions, kernels, directory } = services;
  const kernelCount = (environment: IEnvironment): number =>
    kernels.of(environment.kernelName).length;
  const changed = async (): Promise<void> => {
    await environments.refresh();
    services.gpus.refresh();
  };

  add({
    id: COMMANDS.create,
    label: trans.__('New DL environment'),
    caption: trans.__('Choose an image and GPUs, and launch a container'),
    execute: (_, args) =>
      views.form(
        String(args['image'] ?? ''),
        String(args['cwd'] ?? directory()),
        args['project'] === 'yes'
      )
  });
  add({
    id: COMMANDS.showLaunch,
    label: trans.__('Show launch'),
    caption: trans.__('Show how far a launch is'),
    isHidden: true,
    execute: (_, args) =>
      views.launch(String(args['id']), String(args['name'] ?? ''))
  });
  add({
    id: COMMANDS.notebook,
    label: trans.__('New notebook in an environment'),
    short: trans.__('New notebook'),
    caption: trans.__('Open a new notebook whose kernel runs inside'),
    status: ['running'],
    execute: async environment => {
      await serviceManager.kernelspecs.refreshSpecs();
      return await commands.execute('notebook:create-new', {
        cwd: directory(),
        kernelName: environment.kernelName
      });
    }
  });
  add({
    id: COMMANDS.console,
    label: trans.__('New console in an environment'),
    short: trans.__('New console'),
    caption: trans.__('Open a console whose kernel runs inside'),
    status: ['running'],
    execute: async environment => {
      await serviceManager.kernelspecs.refreshSpecs();
      return await commands.execute('console:create', {
        cwd: directory(),
        kernelPreference: { name: environment.kernelName }
      });
    }
  });
  add({
    id: COMMANDS.terminal,
    label: trans.__('Terminal in an environment'),
    short: trans.__('Terminal'),
    caption: trans.__('Open a terminal with a shell inside'),
    status: ['running'],
    execute: async environment => {
      const terminal = await serviceManager.terminals.startNew();
      const widget: unknown = await commands.execute('terminal:open', {
        name: terminal.name
      });
      // The name is of letters, digits and dashes: nothing of it means anything to a shell.
      const { option } = services.engines;
      const engine = option ? `--engine ${shellWord(option)} ` : '';
      const line = `exec jupyter dlenv shell ${engine}${environment.name}\r`;
      terminal.send({ type: 'stdin', content: [line] });
      return widget;
    }
  });
  add({
    id: COMMANDS.connect,
    label: trans.__('Connect to an environment'),
    short: trans.__('Connect'),
    caption: trans.__('SSH, IDEs and ports'),
    status: ['running', 'stopped'],
    execute: environment => views.connect(environment.name)
  });
  add({
    id: COMMANDS.logs,
    label: trans.__('Show logs of an environment'),
    short: trans.__('Logs'),
    caption: trans.__('Show what its container prints'),
    status: ['running', 'stopped'],
    execute: environment => views.logs(environment.name)
  });
  add({
    id: COMMANDS.takeAlong,
    label: trans.__('Export or save an environment'),
    short: trans.__('Export or save'),
    caption: trans.__('As a file for another tool, or as an image'),
    status: ['running', 'stopped'],
    execute: environment => views.takeAlong(environment.name)
  });
  add({
    id: COMMANDS.start,
    label: trans.__('Start an environment'),
    short: trans.__('Start'),
    caption: trans.__('Start its container again, with its files'),
    status: ['stopped'],
    execute: async ({ name }) => {
      await actions.run(name, 'starting', async () => {
        await api.act(name, 'start');
        await changed();
      });
    }
  });
  add({
    id: COMMANDS.stop,
    label: trans.__('Stop an environment'),
    short: trans.__('Stop'),
    caption: trans.__('End its processes and free its GPUs; files are kept'),
    status: ['running'],
    execute: async environment => {
      const { name } = environment;
      if (await confirmEnd('stop', name, kernelCount(environment), trans)) {
        await actions.run(name, 'stopping', async () => {
          await api.act(name, 'stop');
          await changed();
        });
      }
    }
  });
  add({
    id: COMMANDS.restart,
    label: trans.__('Restart an environment'),
    short: trans.__('Restart'),
    caption: trans.__('Stop and start its container; files are kept'),
    status: ['running'],
    execute: async environment => {
      const { name } = environment;
      if (await confirmEnd('restart', name, kernelCount(environment), trans)) {
        await actions.run(name, 'restarting', async () => {
          await api.act(name, 'restart');
          await changed();
        });
      }
    }
  });
  add({
    id: COMMANDS.recreate,
    label: trans.__('Use other GPUs for an environment'),
    short: trans.__('Use other GPUs'),
    caption: trans.__('Make its container anew on free GPUs; files are kept'),
    status: ['running', 'stopped'],
    execute: async environment => {
      const { name } = environment;
      if (await confirmEnd('recreate', name, kernelCount(environment), trans)) {
        await actions.run(name, 'restarting', async () => {
          await api.act(name, 'recreate');
          await changed();
        });
      }
    }
  });
  add({
    id: COMMANDS.remove,
    label: trans.__('Remove an environment'),
    short: trans.__('Remove'),
    caption: trans.__('Remove its container and all that belongs to it'),
    status: ['running', 'stopped'],
    execute: async environment => {
      const { name } = environment;
      if (await confirmRemove(environment, kernelCount(environment), trans)) {
        await actions.run(name, 'removing', async () => {
          await api.remove(name);
          await changed();
        });
      }
    }
  });
  add({
    id: COMMANDS.refresh,
    label: trans.__('Refresh DL environments'),
    caption: trans.__('Look for new and removed environments now'),
    execute: async () => {
      services.gpus.refresh();
      // Shown in the sidebar where it fails.
      await environments.refresh().catch(() => undefined);
      await serviceManager.kernelspecs.refreshSpecs();
    }
  });
  add({
    id: COMMANDS.doctor,
    label: trans.__('Check health of DL environments'),
    caption: trans.__('Find out what is wrong, and what to try'),
    execute: () => views.doctor()
  });
  add({
    id: COMMANDS.engine,
    label: trans.__('Use another engine…'),
    caption: trans.__('Show and launch environments on another engine'),
    execute: async () => {
      const { engines } = services;
      await engines.refresh();
      const others = engines.offers.filter(offer => offer !== engines.inUse);
      if (others.length === 0) {
        throw new Error(trans.__('No other engine may be used here.'));
      }
      const words = others.map(offer =>
        engineWords(offer, engines.isUsual(offer), trans)
      );
      const picked = await pick(
        trans.__('Use another engine'),
        trans.__('Engine'),
        words,
        trans.__('Use'),
        trans
      );
      const chosen = others[words.indexOf(picked ?? '')];
      if (chosen) {
        await engines.use(chosen.name);
      }
    }
  });
  add({
    id: COMMANDS.sidebar,
    label: trans.__('Show DL environments'),
    caption: trans.__('Show the environments in the sidebar'),
    execute: () => app.shell.activateById('jupyter-dlenv-sidebar')
  });
  add({
    id: COMMANDS.move,
    label: trans.__('Move this notebook to another environment'),
    caption: trans.__('Go on with a kernel in another environment'),
    execute: async () => {
      const panel = tracker?.currentWidget;
      if (!panel) {
        throw new Error(trans.__('Open a notebook first.'));
      }
      const here = services.current.name;
      const names = environments.environments
        .filter(item => item.status === 'running' && item.name !== here)
        .map(item => item.name);
      const name = await pick(
        trans.__('Move this notebook to another environment'),
        trans.__(
          'The notebook gets a new kernel there; variables are not carried over.'
        ),
        names,
        trans.__('Move'),
        trans
      );
      const target = environments.environments.find(i => i.name === name);
      if (target && !panel.isDisposed) {
        await serviceManager.kernelspecs.refreshSpecs();
        await panel.sessionContext.changeKernel({ name: target.kernelName });
        Notification.info(
          trans.__('This notebook runs in %1 now.', target.name),
          { autoClose: 5_000 }
        );
      }
    }
  });
}
