/**
 * Wires the rooms of this extension to JupyterLab and Notebook 7.
 */
import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, showErrorMessage } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { listEnvironments } from './api';
import { EnvironmentsModel } from './model';
import { IEnvironments } from './tokens';
import { isEnvironmentEvent } from './wire';

export { IEnvironments } from './tokens';
export type { IEnvironment, Status } from './wire';

const REFRESH = 'dlenv:refresh';

const environments: JupyterFrontEndPlugin<IEnvironments> = {
  id: 'jupyter-dlenv:environments',
  description:
    'Knows the DL environments of this server and keeps the list of kernels in step.',
  autoStart: true,
  provides: IEnvironments,
  optional: [ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): IEnvironments => {
    const trans = (translator ?? nullTranslator).load('jupyter_dlenv');
    const { events, kernelspecs, serverSettings } = app.serviceManager;
    const model = new EnvironmentsModel(() => listEnvironments(serverSettings));

    events.stream.connect((_, event) => {
      if (isEnvironmentEvent(event)) {
        model.notify();
      }
    });
    // Left alone, JupyterLab looks for new kernels once a minute.
    model.changed.connect(() => void kernelspecs.refreshSpecs());

    app.commands.addCommand(REFRESH, {
      label: trans.__('Refresh DL environments'),
      caption: trans.__('Look for new and removed environments now'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: async () => {
        try {
          await model.refresh();
          await kernelspecs.refreshSpecs();
        } catch (error) {
          await showErrorMessage(
            trans.__('The DL environments cannot be listed'),
            error instanceof Error ? error : String(error)
          );
        }
      }
    });
    palette?.addItem({
      command: REFRESH,
      category: trans.__('DL environments')
    });
    return model;
  }
};

export default environments;
